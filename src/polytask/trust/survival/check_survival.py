"""Checks bounds and calibrated curves on halves: one half fits, the other looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from polytask.array_types import NAN, Floats, Mask
from polytask.kinds.step_curves import estimate_censoring
from polytask.trust.fit_task import CHECK_SPLITS, MIN_SUBJECTS, Spread
from polytask.trust.survival.bounds import bracket_coverage, fit_bounds, make_bounds
from polytask.trust.survival.calibration_tests import (
    CalibrationTest,
    compute_horizon_error,
    compute_integrated_brier,
    measure_horizon_log_loss,
    run_curve_calibration_test,
    run_horizon_calibration_test,
)
from polytask.trust.survival.cases import SHARES, SurvivalCases
from polytask.trust.survival.horizon_calibrator import fit_horizons
from polytask.trust.survival.percentile_calibrator import fit_percentiles

WAYS = ("raw", "percentiles", "horizons")
"""How probabilities can be: as predicted, or by one of the two calibrators."""


@dataclass(frozen=True)
class SurvivalCheck:
    """What a check saw on the halves that fitted nothing.

    Args:
        low, high: share of the patients whose event came at or after the bound, at least and at most.
        size: mean bound. none: share of the bounds that were 0, because half of the patients were too few.
        subjects: how many.
        log_loss, brier: way → log loss at the horizons, and mean Brier score over them.
        error: way → calibration error at the horizons, less what chance adds.
        curve_test: "raw" and "percentiles" → test of D-calibration.
        horizon_tests: way → horizon → test of one-calibration.
    """

    low: Spread
    high: Spread
    size: Spread
    none: float
    subjects: int
    log_loss: dict[str, Spread] = field(default_factory=dict)
    brier: dict[str, float] = field(default_factory=dict)
    error: dict[str, float] = field(default_factory=dict)
    curve_test: dict[str, CalibrationTest] = field(default_factory=dict)
    horizon_tests: dict[str, dict[str, CalibrationTest]] = field(default_factory=dict)


@dataclass(frozen=True)
class _HalfCheck:
    """What one split showed on the checked patients `checked [N]`.

    Args:
        passed: calibrated probability of the event by the patient's own time. p: way → probabilities `[n, H]`.
    """

    checked: Mask
    coverage: tuple[float, float]
    bound: Floats
    passed: Floats
    p: dict[str, Floats]
    losses: dict[str, float]


def check_survival(
    horizons: Sequence[float], cases: SurvivalCases, alpha: float, seed: int
) -> SurvivalCheck | None:
    """Split the subjects in two halves many times, fit on one and look at the other; None where there are too few."""
    names = np.unique(cases.subjects)
    if len(names) < MIN_SUBJECTS:
        return None
    random = np.random.default_rng(seed)
    halves = [
        _check_half(
            horizons,
            cases,
            np.isin(cases.subjects, random.permutation(names)[: len(names) // 2]),
            alpha,
        )
        for _ in range(CHECK_SPLITS)
    ]
    bounds = np.concatenate([half.bound for half in halves])
    size = [float(half.bound.mean()) for half in halves if half.bound.any()]
    seen = sum(half.checked for half in halves) > np.zeros(len(cases.times))
    judged = cases.take(np.asarray(seen))
    p = {way: _average_checked(halves, [half.p[way] for half in halves])[seen] for way in WAYS}
    passed = _average_checked(halves, [half.passed for half in halves])[seen]
    censoring = estimate_censoring(judged.times, judged.events)
    outcome = (judged.times, judged.events)
    return SurvivalCheck(
        _summarize([half.coverage[0] for half in halves]),
        _summarize([half.coverage[1] for half in halves]),
        _summarize(size),
        float((bounds == 0).mean()),
        len(names),
        {way: _summarize([half.losses[way] for half in halves]) for way in WAYS},
        {way: compute_integrated_brier(own, horizons, *outcome) for way, own in p.items()},
        {way: compute_horizon_error(own, *outcome, horizons, censoring) for way, own in p.items()},
        {
            "raw": run_curve_calibration_test(1 - judged.passed, judged.seen),
            "percentiles": run_curve_calibration_test(1 - passed, judged.seen),
        },
        {
            way: {
                f"{t:g}": run_horizon_calibration_test(own[:, h], *outcome, t) for h, t in enumerate(horizons)
            }
            for way, own in p.items()
        },
    )


def _check_half(horizons: Sequence[float], cases: SurvivalCases, fitted: Mask, alpha: float) -> _HalfCheck:
    fit, other = cases.take(fitted), cases.take(~fitted)
    share, members = fit_bounds([fit], alpha)
    column = int(np.searchsorted(SHARES, share))
    quantile = other.quantiles[:, min(column, len(SHARES) - 1)]
    bound = make_bounds(share, members, [other.risk], [quantile], [other.plain])
    percentiles = fit_percentiles(fit.passed, fit.seen)
    censoring = estimate_censoring(fit.times, fit.events)
    by_horizon = fit_horizons(fit.p, horizons, fit.times, fit.events, censoring)
    p = {"raw": other.p, "percentiles": percentiles.apply(other.p), "horizons": by_horizon.apply(other.p)}
    losses = {
        way: float(measure_horizon_log_loss(own, horizons, other.times, other.events).mean())
        if np.isfinite(own).all(0).any()
        else NAN
        for way, own in p.items()
    }
    coverage = bracket_coverage(bound, other.times, other.events)
    return _HalfCheck(~fitted, coverage, bound, percentiles.apply(other.passed), p, losses)


def _average_checked(halves: Sequence[_HalfCheck], values: Sequence[Floats]) -> Floats:
    """Average what the halves say of each patient, over those halves that checked it: `[N, …]`, 0 where none did."""
    total = np.zeros((len(halves[0].checked), *values[0].shape[1:]))
    count = np.zeros(len(total))
    for half, own in zip(halves, values, strict=True):
        total[half.checked] += own
        count[half.checked] += 1
    return total / np.maximum(count, 1).reshape(-1, *[1] * (total.ndim - 1))


def _summarize(values: Sequence[float]) -> Spread:
    if not values:
        return Spread(NAN, NAN)
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0)
