"""What lies outside the ranges of training, in words."""

from __future__ import annotations

import pytest

from polytask.trust.inputs.quantity_ranges import describe_excesses, fit_ranges, measure_excess

SPACING, MISSING = "coarsest spacing [mm]", "channel mr is missing"
RANGES = fit_ranges([{SPACING: s, MISSING: 0.0, "ct percentile 99": 400.0} for s in (0.5, 1.2, 0.8)])


def test_inside_nothing_is_said() -> None:
    inside = {SPACING: 1.2, MISSING: 0.0, "ct percentile 99": 400.0, "of no training case": 9.0}
    assert (measure_excess(inside, RANGES), describe_excesses(inside, RANGES)) == (0.0, [])


def test_outside_is_measured_in_deviations_and_said_in_words() -> None:
    spread = RANGES[SPACING].spread
    assert measure_excess({SPACING: 3.0}, RANGES) == pytest.approx((3.0 - 1.2) / spread)
    outside = {SPACING: 3.0, MISSING: 1.0, "ct percentile 99": 396.0}
    assert describe_excesses(outside, RANGES) == [
        "channel mr is missing, never so in training",
        "coarsest spacing 3 mm, training 0.5–1.2 mm",
        "ct percentile 99 396, training 400",
    ]
    always = fit_ranges([{MISSING: 1.0}] * 3)
    assert describe_excesses({MISSING: 0.0}, always) == ["channel mr is there, never so in training"]
