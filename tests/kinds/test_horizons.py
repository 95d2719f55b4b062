"""Which horizons are judged when a header names none."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.kinds.horizons import list_defined_horizons, list_usual_horizons


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("days", [365, 730, 1825]),
        ("Day", [365, 730, 1825]),
        ("d", [365, 730, 1825]),
        ("weeks", [52, 104, 260]),
        ("w", [52, 104, 260]),
        ("wk", [52, 104, 260]),
        (" Months ", [12, 24, 60]),
        ("mo.", [12, 24, 60]),
        ("years", [1, 2, 5]),
        ("y", [1, 2, 5]),
        ("yrs.", [1, 2, 5]),
        ("cycles", []),
        ("", []),
    ],
)
def test_one_two_and_five_years_are_counted_in_the_unit(unit: str, expected: list[float]) -> None:
    assert list_usual_horizons(unit) == expected


def test_a_horizon_needs_an_event_by_then_and_somebody_followed_beyond() -> None:
    def find(times: list[float], events: list[float]) -> list[float]:
        return list_defined_horizons("years", np.array(times), np.array(events), {})

    assert find([1.0, 6.0], [1, 0]) == [1, 2, 5]
    assert find([1.0, 5.0], [1, 0]) == [1, 2]
    assert find([1.5, 5.1], [1, 1]) == [2, 5]
    assert find([1.0, 6.0], [0, 0]) == []
    assert find([1.0, 2.0], [0, 1]) == []


def test_a_horizon_needs_a_tenth_who_are_not_censored_before() -> None:
    times, events = np.array([0.5, 9.0]), np.array([1.0, 0.0])
    censoring = {"times": (1.0, 2.0, 5.0), "survival": (0.3, 0.1, 0.0999)}
    assert list_defined_horizons("years", times, events, censoring) == [1, 2]
