from __future__ import annotations

from itertools import pairwise

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
        "moved_at": 0,
        "decayed": 0.0,
    }


def test_another_end_leaves_the_rate_where_it_is_and_spreads_the_rest_of_the_decay() -> None:
    """Half of the decay is done at step 60 of 110. With the end at 84, step 72 is halfway
    through what is left: 3/4 are done."""
    schedule = Schedule.of(settings("cosine"), 110)
    shorter = schedule.move_end(60, 84)
    assert shorter.rate(60) == schedule.rate(60) == pytest.approx(0.05)
    assert shorter.rate(72) == pytest.approx(0.1 * 0.5 * (1 - 2**-0.5))
    assert shorter.rate(84) == pytest.approx(0.0)
    assert Schedule.of(settings("poly"), 110).move_end(60, 84).rate(72) == pytest.approx(0.1 * 0.25**0.9)
    assert schedule.move_end(60, 110) == schedule


@given(
    st.sampled_from(["poly", "cosine", "constant"]),
    st.integers(1, 300),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 200)), max_size=8),
)
def test_a_moved_rate_rises_only_in_the_warm_up_and_never_jumps(
    kind: str, steps: int, moves: list[tuple[int, int]]
) -> None:
    schedule, step = Schedule.of(settings(kind), steps), 0
    rates = [schedule.rate(0)]
    for wait, left in moves:
        for _ in range(min(wait, schedule.end - step)):
            step += 1
            rates.append(schedule.rate(step))
        moved = schedule.move_end(step, step + left)
        assert moved.rate(step) == pytest.approx(schedule.rate(step), abs=1e-12)
        schedule = moved
    after = rates[schedule.warmup :]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(after))
    assert schedule.extended(20).moved_at == 0


def test_a_move_in_the_warm_up_keeps_the_warm_up() -> None:
    moved = Schedule.of(settings("cosine"), 110).move_end(5, 60)
    assert [moved.rate(s) for s in (4, 5, 9)] == pytest.approx([0.05, 0.06, 0.1])
    assert moved.rate(35) == pytest.approx(0.05)
    assert moved.rate(60) == pytest.approx(0.0)
