"""Reliability and calibration error, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.calibration_error import (
    CalibrationBin,
    bin_by_probability,
    compute_raw_calibration_error,
    estimate_calibration_error,
)


def test_a_bin_has_five_items_and_there_are_at_most_ten() -> None:
    assert [
        len(bin_by_probability(np.linspace(0, 1, n), [True] * n)) for n in (1, 9, 10, 14, 15, 50, 200)
    ] == [
        *(1, 1, 2, 2, 3, 10, 10),
    ]
    assert [b.n for b in bin_by_probability(np.linspace(0, 1, 10), [True] * 10)] == [5, 5]
    assert bin_by_probability([], []) == []


def test_a_bin_by_hand() -> None:
    (found,) = bin_by_probability([0.2, 0.4, 0.6, 0.8], [False, True, True, True])
    assert (found.predicted, found.observed, found.n) == (pytest.approx(0.5), 0.75, 4)
    assert (found.low, found.high) == (pytest.approx(0.3006, abs=1e-3), pytest.approx(0.9544, abs=1e-3))


def test_equal_probabilities_stay_together() -> None:
    assert [b.n for b in bin_by_probability([0.3] * 12, [True] * 12)] == [12]
    assert [b.n for b in bin_by_probability([0.1] * 6 + [0.9] * 6, [True] * 12)] == [6, 6]


def test_the_error_is_a_mean_gap_by_items() -> None:
    bins = [CalibrationBin(0.2, 0.4, 0.0, 1.0, 3), CalibrationBin(0.9, 0.8, 0.0, 1.0, 1)]
    assert compute_raw_calibration_error(bins) == pytest.approx((3 * 0.2 + 0.1) / 4)
    assert np.isnan(compute_raw_calibration_error([]))


def test_nothing_has_no_error_and_a_perfect_model_none() -> None:
    nothing = estimate_calibration_error([], [])
    assert nothing.n == 0
    assert np.isnan(nothing[:3]).all()
    assert estimate_calibration_error([0.5] * 60, [True, False] * 30).estimate == 0.0


def test_fifty_subjects_have_an_interval_and_forty_nine_none() -> None:
    p, happened = [0.5] * 100, [True] * 60 + [False] * 40
    wide = estimate_calibration_error(p, happened, [k // 2 for k in range(100)])
    assert wide.low <= wide.estimate <= wide.high
    narrow = estimate_calibration_error(p, happened)
    assert (narrow.n, wide.n) == (100, 100)
    assert narrow.high <= wide.high
    few = estimate_calibration_error(p[:98], happened[:98], [k // 2 for k in range(98)])
    assert np.isnan([few.low, few.high]).all()
    assert np.isfinite(few.estimate)


def test_a_gap_of_one_bin_is_the_seen_one_less_what_chance_adds() -> None:
    """400 items answered 0.5 and 260 hits: the gap of 0.15 is 6 standard errors of 0.025, so chance adds nothing."""
    found = estimate_calibration_error([0.5] * 400, [True] * 260 + [False] * 140)
    assert found.estimate == pytest.approx(0.15, abs=0.003)
    assert (found.low, found.high) == (pytest.approx(0.1, abs=0.015), pytest.approx(0.2, abs=0.015))
    assert estimate_calibration_error(
        [0.5] * 400, [True] * 260 + [False] * 140, seed=1
    ).estimate == pytest.approx(0.15, abs=0.003)


def test_a_gap_may_be_three_times_what_was_seen_at_most() -> None:
    found = estimate_calibration_error([0.5] * 50, [True] * 26 + [False] * 24)
    assert (found.estimate, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(3 * 0.02)
    wide = estimate_calibration_error([0.5] * 50, [True] * 30 + [False] * 20)
    assert wide.low == 0.0
    assert 0.2 < wide.high < 0.3


def test_one_subject_is_one_trial_however_many_items_it_has() -> None:
    """One trial at 0.5 always ends half away from it, more than the 0.3 that were seen: no gap is left. Of twenty
    trials the gap would be 0.3 but for chance. Two bins share a single subject: each has one trial, not none."""
    p, happened = [0.5] * 20, [True] * 16 + [False] * 4
    assert estimate_calibration_error(p, happened, ["s"] * 20).estimate == 0.0
    assert estimate_calibration_error(p, happened).estimate == pytest.approx(0.3, abs=0.03)
    two = estimate_calibration_error([0.3] * 5 + [0.7] * 5, [True, False] * 5, ["s"] * 10)
    assert np.isfinite(two.estimate)
