from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polytask.plan.plan_schema import TrainingPlan
from polytask.training.schedule import Schedule


def settings(kind: str) -> TrainingPlan:
    return TrainingPlan.model_validate(
        {"batch": 1, "epochs": 1, "steps_per_epoch": 1, "precision": "float32", "threads": 1, "workers": 0}
        | {"schedule": kind, "rate": 0.1, "warmup": 10}
    )


@given(st.sampled_from(["poly", "cosine", "constant"]), st.integers(1, 500))
def test_rates_are_positive_up_to_the_peak(kind: str, steps: int) -> None:
    schedule = Schedule.of(settings(kind), steps)
    rates = [schedule.rate(s) for s in range(steps)]
    assert all(0 < r <= 0.1 + 1e-12 for r in rates)


def test_by_hand() -> None:
    poly, cosine = (Schedule.of(settings(k), 110) for k in ("poly", "cosine"))
    assert poly.rate(0) == pytest.approx(0.01)
    assert poly.rate(9) == pytest.approx(0.1)
    assert poly.rate(60) == pytest.approx(0.1 * 0.5**0.9)
    assert cosine.rate(60) == pytest.approx(0.05)
    assert cosine.rate(10) == pytest.approx(0.1)


def test_an_extension_is_a_new_cycle() -> None:
    longer = Schedule.of(settings("cosine"), 100).extended(50)
    assert (longer.start, longer.end) == (100, 150)
    assert longer.rate(100) == pytest.approx(0.01)
    assert longer.rate(110) == pytest.approx(0.1)
    assert longer.rate(149) < 0.001
