"""A survival task before training, and why a probability is not defined."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from polytask.tasks import make_task

BINS = (100.0, 200.0, 300.0)


def survival(**fields: Any) -> Any:
    given = {
        "kind": "survival",
        "level": "subject",
        "horizons": BINS,
        "censoring": {"times": (), "survival": ()},
    }
    return make_task("os", {**given, **fields})


def begin(task: Any) -> dict[str, torch.Tensor]:
    """What a head says of two subjects without any features."""
    return dict(task.decode(task.head(4, 0)(torch.zeros(2, 4))))


def test_without_rates_of_training_every_interval_and_the_time_after_is_as_likely() -> None:
    found = begin(survival(loss="hazard", bins=BINS))
    torch.testing.assert_close(found["p"], torch.tensor([[0.25, 0.5, 0.75]] * 2))


def test_a_hazard_begins_at_the_rates_of_training() -> None:
    found = begin(survival(loss="hazard", bins=BINS, hazards=(0.5, 0.2, 0.0)))
    torch.testing.assert_close(found["p"], torch.tensor([[0.5, 0.6, 0.6]] * 2), rtol=1e-5, atol=1e-5)


def test_a_cox_model_has_no_probability_before_its_baseline_is_learned() -> None:
    task = survival(loss="cox")
    assert begin(task)["p"].isnan().all()
    assert task.explain_undefined(100.0) == "no baseline hazard was learned in training"
    learned = task.with_baseline([0.0, 0.0], [50.0, 250.0], [1.0, 1.0])
    assert learned.explain_undefined(250.0) == ""
    assert learned.explain_undefined(251.0) == "nobody in training was followed for longer than 250 days"
    found = learned.decode(torch.zeros(1, 1))["p"][0]
    assert found[0].item() == pytest.approx(1 - 2.718281828**-0.5, rel=1e-5), "1 event of 2 at risk (Breslow)"
    assert found[2].isnan()


def test_a_hazard_is_defined_up_to_its_last_interval() -> None:
    task = survival(loss="hazard", bins=BINS)
    assert task.explain_undefined(300.0) == ""
    assert (
        task.explain_undefined(301.0) == "no event in training later than 300 days, where the intervals end"
    )
