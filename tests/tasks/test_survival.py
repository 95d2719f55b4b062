"""A survival task before training, and why a probability is not defined."""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
import pytest
import torch

from polytask.tasks import make_task
from polytask.tasks.target import Target

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


def test_defaults_are_those_of_a_cox_model() -> None:
    task = make_task("os", {"kind": "survival", "level": "subject"})
    assert task.outputs == 1
    assert survival().criterion().capacity == 256
    assert survival(loss="hazard", bins=BINS).outputs == 3


def test_a_hazard_that_never_or_always_occurs_starts_finite() -> None:
    task = survival(loss="hazard", bins=BINS, hazards=(0.0, 1.0, 0.5))
    output = task.head(4, 0)(torch.zeros(1, 4))[0]
    assert output.tolist() == pytest.approx([-13.81551, 13.81551, 0.0], abs=0.01)


def test_the_loss_of_hazards_is_over_the_constant() -> None:
    task = survival(loss="hazard", bins=BINS, constant=0.5)
    target = Target(torch.tensor([[50.0, 1.0]]), torch.tensor([True]))
    total, count = task.criterion()(torch.zeros(1, 3), target, ["s"])
    assert (float(total), float(count)) == (pytest.approx(0.693147 / 0.5), 1.0)


def test_a_wild_score_is_cut_where_probabilities_are_made() -> None:
    task = survival(baseline={"times": (400.0,), "hazard": (0.0,)}, horizons=(400.0,))
    assert task.decode(torch.tensor([[1e4]]))["p"].tolist() == [[0.0]]
    for score, hazard in ((1e4, 1e-22), (-1e4, 1e21)):
        cut = survival(baseline={"times": (100.0,), "hazard": (hazard,)}, horizons=(100.0,))
        expected = 1 - exp(-hazard * exp(50 if score > 0 else -50))
        assert cut.decode(torch.tensor([[score]]))["p"].item() == pytest.approx(expected, rel=1e-4)
    risk = task.decode(torch.tensor([[1e4]]))["risk"]
    assert risk.tolist() == [1e4]


def test_a_hazard_orders_by_the_expected_time() -> None:
    task = survival(loss="hazard", bins=BINS)
    found = task.decode(torch.tensor([[-30.0, -30.0, -30.0], [30.0, 0.0, 0.0]]))
    assert found["risk"].tolist() == pytest.approx([-300.0, -50.0])
    assert found["p"].flatten().tolist() == pytest.approx([0, 0, 0, 1, 1, 1], abs=1e-6)


def test_measures_by_hand() -> None:
    """Events at 1 and 3, one followed to 4, one unknown; nobody was censored in training."""
    value = np.array([[1.0, 1.0], [4.0, 0.0], [3.0, 1.0], [9.0, 9.0]])
    known = np.array([True, True, True, False])
    prediction = {"risk": np.array([3.0, 2.0, 1.0, 0.0]), "p": np.array([[0.9], [0.5], [0.6], [0.0]])}
    found = survival(horizons=(3.0,)).metrics(prediction, value, known)
    assert (found["n"], found["events"]) == (3, 2)
    assert found["c"] == pytest.approx(2 / 3)
    assert found["auc.T3"] == 0.5, "by risk"
    assert found["brier.T3"] == pytest.approx((0.1**2 + 0.5**2 + 0.4**2) / 3)
    hazard = survival(loss="hazard", bins=(3.0,), horizons=(3.0,)).metrics(prediction, value, known)
    assert hazard["auc.T3"] == 1.0, "by probability"


def test_cells_hold_probabilities_that_are_known_and_skill_is_twice_c_minus_one() -> None:
    task = survival(horizons=(1.0, 2.5))
    cells = task.columns({"risk": np.array([0.5, 1.5]), "p": np.array([[0.1, 0.2], [0.3, np.nan]])}, 1)
    assert cells == {".risk": 1.5, ".p.T1": 0.3}
    assert task.skill({"c": 0.75}) == 0.5
    assert np.isnan(task.skill({}))
