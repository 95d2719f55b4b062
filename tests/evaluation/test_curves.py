"""Reliability, risk groups and agreement against outside references."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from polytask.evaluation.bland_altman import compute_limits_of_agreement
from polytask.evaluation.calibration_error import (
    bin_by_probability,
    compute_raw_calibration_error,
    compute_wilson_interval,
    estimate_calibration_error,
)
from polytask.evaluation.risk_group_survival import split_into_risk_groups
from polytask.tasks.risk_groups import find_risk_cutoffs


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    [
        (8, 10, 0.490162, 0.943318),
        (0, 5, 0.0, 0.434482),
        (5, 5, 0.565518, 1.0),
        (50, 100, 0.403832, 0.596168),
    ],
)
def test_wilson(hits: int, n: int, low: float, high: float) -> None:
    assert compute_wilson_interval(hits, n) == pytest.approx((low, high), abs=1e-5)


def test_reliability_by_hand() -> None:
    p = np.array([0.1] * 5 + [0.8] * 5)
    happened = np.array([0, 0, 0, 0, 1, 1, 1, 1, 0, 1], bool)
    low, high = bin_by_probability(p, happened)
    assert (low.predicted, low.observed, low.n) == (pytest.approx(0.1), 0.2, 5)
    assert (high.predicted, high.observed, high.n) == (pytest.approx(0.8), 0.8, 5)
    assert compute_raw_calibration_error([low, high]) == pytest.approx(0.05)


def test_every_item_is_in_one_bin() -> None:
    random = np.random.default_rng(0)
    p, happened = random.random(203), random.random(203) < 0.3
    bins = bin_by_probability(p, happened)
    assert len(bins) == 10
    assert sum(b.n for b in bins) == 203
    assert min(b.n for b in bins) >= 5
    assert sum(b.n * b.observed for b in bins) == pytest.approx(happened.sum())
    assert [b.predicted for b in bins] == sorted(b.predicted for b in bins)


def test_reliability_of_nothing_of_one_and_of_equal_probabilities() -> None:
    assert bin_by_probability([], []) == []
    assert np.isnan(compute_raw_calibration_error([]))
    assert [b.n for b in bin_by_probability([0.3], [True])] == [1]
    assert [b.n for b in bin_by_probability([0.5] * 40, [True] * 10 + [False] * 30)] == [40]


def test_groups_have_the_curves_of_lifelines() -> None:
    random = np.random.default_rng(3)
    risk, times = random.normal(size=60), random.integers(1, 30, 60).astype(float)
    events = random.random(60) < 0.6
    groups = split_into_risk_groups(risk, times, events, find_risk_cutoffs(risk))
    assert [g.name for g in groups] == ["low risk", "middle risk", "high risk"]
    assert [g.n for g in groups] == [20, 20, 20]
    order = np.argsort(risk)
    for k, group in enumerate(groups):
        mine = order[20 * k : 20 * (k + 1)]
        fitted = KaplanMeierFitter().fit(times[mine], events[mine])
        at = np.array(group.times)
        np.testing.assert_allclose(group.survival, fitted.survival_function_at_times(at), atol=1e-12)
        assert group.events == events[mine].sum()
        assert len(group.censored) == 20 - group.events
        assert group.at_risk([0, 10, 40]) == [20, int((times[mine] >= 10).sum()), 0]


def test_few_subjects_make_halves_and_equal_risks_one_group() -> None:
    risk = [1.0, 2.0, 3.0, 4.0]
    halves = split_into_risk_groups(risk, [5, 6, 7, 8], [1, 0, 1, 0], find_risk_cutoffs(risk))
    assert [(g.name, g.n) for g in halves] == [("lower risk", 2), ("higher risk", 2)]
    assert [
        (g.name, g.n)
        for g in split_into_risk_groups([0.0] * 5, range(1, 6), [1] * 5, find_risk_cutoffs([0.0] * 5))
    ] == [("all", 5)]
    assert split_into_risk_groups([], [], [], (0.5,)) == []


def test_agreement_by_hand() -> None:
    found = compute_limits_of_agreement([11, 12, 13], [10, 12, 14])  # differences 1, 0, -1: mean 0, sd 1
    assert found == pytest.approx((0, -1.96, 1.96, 3))
    assert compute_limits_of_agreement([3], [1]).bias == 2
    assert np.isnan(compute_limits_of_agreement([3], [1]).low)
    assert compute_limits_of_agreement([], []).n == 0


def perfect(n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    p = random.random(n)
    return p, random.random(n) < p


def test_a_perfect_model_has_a_calibration_error_near_zero() -> None:
    """As it is seen the error of a perfect model is 0.10 at 100 items."""
    random = np.random.default_rng(0)
    worlds = [perfect(100, random) for _ in range(60)]
    found = [estimate_calibration_error(p, y, resamples=200) for p, y in worlds]
    seen = [compute_raw_calibration_error(bin_by_probability(p, y)) for p, y in worlds]
    assert np.mean(seen) > 0.09
    assert np.median([f.estimate for f in found]) < 0.02
    assert np.mean([f.estimate for f in found]) < 0.05
    assert np.mean([f.low <= 0.01 for f in found]) > 0.9


def test_a_wrong_model_keeps_its_calibration_error() -> None:
    """It says 0.9 or 0.1 where it is right in 7 of 10: |0.9 − 0.7| = 0.2, by hand."""
    random = np.random.default_rng(1)
    p = np.where(random.random(2000) < 0.5, 0.9, 0.1)
    happened = random.random(2000) < np.where(p > 0.5, 0.7, 0.3)
    found = estimate_calibration_error(p, happened)
    assert found.estimate == pytest.approx(0.2, abs=0.025)
    assert found.low < 0.2 < found.high
    assert found.high - found.low < 0.06
    assert found.n == 2000


def test_one_bin_by_hand() -> None:
    """200 items said 0.5, 140 happened: 0.2 seen, to which chance adds next to nothing; Wilson's share is
    0.633 to 0.759."""
    found = estimate_calibration_error([0.5] * 200, [True] * 140 + [False] * 60, resamples=4000)
    assert found.estimate == pytest.approx(0.2, abs=0.003)
    assert (found.low, found.high) == pytest.approx((0.133, 0.259), abs=0.012)


def test_calibration_of_visits_and_of_few() -> None:
    random = np.random.default_rng(2)
    p, happened = perfect(60, random)
    once = estimate_calibration_error(p, happened)
    again = estimate_calibration_error(
        np.repeat(p, 5), np.repeat(happened, 5), np.repeat(np.arange(60), 5).tolist()
    )
    assert again.high - again.low > 0.7 * (once.high - once.low)
    few = estimate_calibration_error(p[:49], happened[:49])
    assert np.isfinite(few.estimate)
    assert np.isnan([few.low, few.high]).all()
    assert estimate_calibration_error([], []).n == 0
