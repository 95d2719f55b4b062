"""Tests of calibration and losses against constants worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from polytask.kinds.step_curves import estimate_censoring
from polytask.trust.survival.calibration_tests import (
    compute_horizon_error,
    compute_integrated_brier,
    estimate_event_share,
    measure_horizon_log_loss,
    run_curve_calibration_test,
    run_horizon_calibration_test,
)
from tests.trust.survival.simulate import HORIZONS, draw_survival


def test_the_test_of_curves_shares_a_censored_patient_among_the_bins_it_may_get_to() -> None:
    """Haider et al. 2020, section 3.3, by hand with four bins: events at 0.1, 0.3, 0.6; censored at 0.6 and 1.0.

    0.6 lies in [0.5, 0.75): (0.6 − 0.5) / 0.6 there, 1 / (4 · 0.6) in each of the two below; 1.0 counts ¼ everywhere.
    """
    survival, seen = np.array([0.1, 0.3, 0.6, 0.6, 1.0]), np.array([True, True, True, False, False])
    counts = np.array([1 + 5 / 12 + 1 / 4, 1 + 5 / 12 + 1 / 4, 1 + 1 / 6 + 1 / 4, 1 / 4])
    assert counts.sum() == pytest.approx(5)
    expected = float(((counts - 1.25) ** 2 / 1.25).sum())
    test = run_curve_calibration_test(survival, seen, 4)
    assert test.statistic == pytest.approx(expected)
    assert test.p == pytest.approx(chi2.sf(expected, 3))
    assert test.n == 5
    assert np.isnan(run_curve_calibration_test(survival[:0], seen[:0]).p)


def test_the_share_and_its_variance_are_those_of_lifelines() -> None:
    """lifelines 0.30.3, `KaplanMeierFitter` with its Greenwood sum."""
    times = np.array([5.0, 8, 8, 12, 3, 7, 9, 15, 11, 6, 14, 10])
    events = np.array([1.0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0])
    share, variance = estimate_event_share(times, events, 12.0)
    assert share == pytest.approx(1 - 0.546875)
    assert variance == pytest.approx(0.546875**2 * 0.078968, rel=1e-4)
    assert estimate_event_share(times, events, 2.0) == (0.0, 0.0)


def test_without_censoring_the_test_of_a_horizon_is_that_of_hosmer_and_lemeshow() -> None:
    """Two groups of ten by hand: 0.2 each with 3 events, 0.5 each with 4: 10 · 0.1² / 0.16 + 10 · 0.1² / 0.25."""
    p = np.repeat([0.2, 0.5], 10)
    times = np.concatenate([[1.0] * 3, [9.0] * 7, [1.0] * 4, [9.0] * 6])
    test = run_horizon_calibration_test(p, times, np.ones(20), 5.0)
    assert test.statistic == pytest.approx(0.625 + 0.4)
    assert test.p == pytest.approx(chi2.sf(1.025, 2))
    assert np.isnan(run_horizon_calibration_test(p[:19], times[:19], np.ones(19), 5.0).p)


def test_censoring_makes_the_test_of_a_horizon_less_sure() -> None:
    """By hand: ten patients, one event at 1, five lost at 2, one event at 3 of four at risk: S = 0.9 · 0.75 = 0.675,
    variance 0.675² (1 / (10 · 9) + 1 / (4 · 3))."""
    times = np.array([1.0, 2, 2, 2, 2, 2, 3, 9, 9, 9] * 2)
    events = np.array([1.0, 0, 0, 0, 0, 0, 1, 0, 0, 0] * 2)
    variance = 0.675**2 * (1 / 90 + 1 / 12)
    count = 0.325 * 0.675 / variance
    assert 4 < count < 10
    p = np.repeat([0.2, 0.4], 10)
    expected = count * (0.125**2 / 0.16 + 0.075**2 / 0.24)
    assert run_horizon_calibration_test(p, times, events, 5.0).statistic == pytest.approx(expected)
    quiet = run_horizon_calibration_test(np.full(20, 0.1), np.full(20, 9.0), np.zeros(20), 5.0)
    assert quiet.statistic == pytest.approx(20 * 0.01 / 0.09), "no event: all twenty are known"


def test_groups_without_expected_events_are_joined_and_those_not_followed_left_out() -> None:
    """Three groups: 0.01 of ten expects no event and is joined with 0.4, so that 0.205 of twenty is compared; of the
    third the last was lost at 2."""
    p = np.repeat([0.01, 0.4, 0.6], 10)
    times = np.concatenate([[9.0] * 10, [1.0] * 3, [9.0] * 7, [1.0] * 5, [2.0] * 5])
    events = np.concatenate([np.zeros(10), np.ones(10), np.ones(5), np.zeros(5)])
    test = run_horizon_calibration_test(p, times, events, 5.0, 3)
    assert test.statistic == pytest.approx(20 * (0.15 - 0.205) ** 2 / (0.205 * 0.795))
    assert test.p == pytest.approx(chi2.sf(test.statistic, 1))
    assert np.isnan(run_horizon_calibration_test(p, np.minimum(times, 4), 0 * events, 5.0).p)


def test_a_sound_model_is_seldom_rejected_and_a_bad_one_mostly() -> None:
    rejected = np.zeros((60, 4))
    for seed in range(60):
        for k, told in enumerate((1.0, 2.5)):
            answers, _ = draw_survival(seed, 200, 0.05, told)
            times, events = answers.value.T
            p = answers.prediction["p"]
            test = run_horizon_calibration_test(p[:, 0], times, events, HORIZONS[0])
            # The true curve of exp(risk) / 20, without its grid.
            risk = answers.prediction["risk"]
            curve = run_curve_calibration_test(np.exp(-times / 20 * np.exp(risk)), events > 0)
            rejected[seed, k], rejected[seed, 2 + k] = test.p < 0.05, curve.p < 0.05
    sound, bad, sound_curve, bad_curve = rejected.mean(0)
    assert sound <= 0.12
    assert sound_curve <= 0.1
    assert bad >= 0.8
    assert bad_curve >= 0.3


def test_the_error_at_horizons_is_what_chance_does_not_explain() -> None:
    answers, _ = draw_survival(3, 2000, 0.03)
    times, events = answers.value.T
    p, censoring = answers.prediction["p"], estimate_censoring(times, events)
    assert compute_horizon_error(p, times, events, HORIZONS, censoring) < 0.03
    moved = np.clip(p + 0.1, 0, 1)
    assert compute_horizon_error(moved, times, events, HORIZONS, censoring) == pytest.approx(0.1, abs=0.025)
    assert np.isnan(
        compute_horizon_error(np.full((20, 1), np.nan), times[:20], events[:20], [6.0], censoring)
    )


def test_the_log_loss_asks_for_what_is_known() -> None:
    """Horizons 6 and 18 with 0.2 and 0.5; NaN at 30 is left out."""
    p = np.tile([0.2, 0.5, np.nan], (6, 1))
    times, events = np.array([6.0, 6.0, 7.0, 7.0, 19.0, 19.0]), np.array([1.0, 0, 1, 0, 1, 0])
    expected = -np.log([0.2, 0.8, 0.3, 0.8, 0.5, 0.5])
    assert measure_horizon_log_loss(p, (6.0, 18.0, 30.0), times, events) == pytest.approx(expected)


def test_the_brier_score_is_a_mean_over_horizons() -> None:
    p, times = np.array([[0.2, 0.6], [0.4, 0.5]]), np.array([5.0, 30.0])
    brier = compute_integrated_brier(p, (6.0, 18.0), times, np.ones(2))
    assert brier == pytest.approx(np.mean([0.8**2, 0.4**2, 0.4**2, 0.5**2]))
