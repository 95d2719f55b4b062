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


def test_the_warm_up_is_at_most_a_fifth_of_the_steps() -> None:
    assert Schedule.of(settings("cosine"), 50).warmup == 10
    assert Schedule.of(settings("cosine"), 49).warmup == 9
    assert Schedule.of(settings("cosine"), 4).warmup == 0
    assert Schedule.of(settings("cosine"), 100).extended(20).warmup == 4


def test_a_constant_rate_stays_and_the_others_end_near_zero() -> None:
    constant, cosine, poly = (Schedule.of(settings(k), 110) for k in ("constant", "cosine", "poly"))
    assert [constant.rate(s) for s in (10, 60, 109, 500)] == [0.1] * 4
    assert cosine.rate(110) == pytest.approx(0.0)
    assert cosine.rate(35) == pytest.approx(0.1 * 0.5 * (1 + 2**-0.5))
    assert poly.rate(110) == 0.0
    assert (cosine.rate(500), poly.rate(500)) == (pytest.approx(0.0), 0.0)


def test_a_schedule_of_nothing_but_warm_up_divides_by_nothing() -> None:
    assert Schedule("cosine", 0.1, 0, 0, 0).rate(0) == 0.1
    assert Schedule("cosine", 0.1, 5, 0, 5).rate(5) == 0.1
    assert Schedule("poly", 0.2, 2, 4, 8).as_dict() == {
        "kind": "poly",
        "peak": 0.2,
        "warmup": 2,
        "start": 4,
        "end": 8,
    }
