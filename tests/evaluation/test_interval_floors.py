"""How many subjects each kind of interval needs."""

from __future__ import annotations

import pytest

from polytask.evaluation.interval_floors import (
    DIFFERENCE_FLOOR,
    INTERVAL_FLOORS,
    IntervalFloor,
    IntervalMethod,
    explain_missing_interval,
)


@pytest.mark.parametrize(
    ("method", "least"),
    [
        ("share", 10),
        ("bounded mean", 20),
        ("error", 40),
        ("mean", 20),
        ("area", 15),
        ("concordance", 20),
        ("kappa", 30),
        ("spread", 60),
        ("other", 40),
        ("calibration", 50),
    ],
)
def test_floors_are_those_at_which_coverage_was_seen_to_be_right(method: IntervalMethod, least: int) -> None:
    assert INTERVAL_FLOORS[method].least == least
    assert explain_missing_interval(INTERVAL_FLOORS[method], least) == ""
    assert explain_missing_interval(INTERVAL_FLOORS[method], least - 1).startswith(f"too few: {least - 1} ")


def test_a_shortage_says_what_is_counted() -> None:
    assert explain_missing_interval(IntervalFloor("eyes", 3), 2) == "too few: 2 eyes, 3 needed"
    assert DIFFERENCE_FLOOR.least == 20
