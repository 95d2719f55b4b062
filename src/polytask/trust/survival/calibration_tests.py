"""Whether predicted times come true as often as they say: tests of whole curves and of horizons, and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2

from polytask.array_types import NAN, Floats, Indices, Mask
from polytask.kinds.step_curves import TimeCurve, estimate_censoring, estimate_kaplan_meier, evaluate_survival
from polytask.tasks.survival_metrics import compute_horizon_brier, is_horizon_defined

CURVE_BINS = 10
MIN_PER_GROUP, MAX_GROUPS = 10, 10
MIN_EXPECTED = 2.0
SMALLEST_SHARE = 1e-6


class CalibrationTest(NamedTuple):
    """A χ² test: a small p says that the predictions are not calibrated; NaN where it is not defined."""

    statistic: float
    p: float
    n: int


NOT_TESTED = CalibrationTest(NAN, NAN, 0)


def run_curve_calibration_test(survival: Floats, seen: Mask, bins: int = CURVE_BINS) -> CalibrationTest:
    """Test D-calibration (Haider et al. 2020): predicted survivals `[N]` at the patients' own times spread evenly.

    A patient with the event counts in the bin of its survival; one censored at s counts in that bin and all lower ones,
    as much as it may still get there: (s − low) / s, and 1 / (bins · s).
    """
    count = len(survival)
    if not count:
        return NOT_TESTED
    s = np.clip(survival, 1e-12, 1.0)[:, None]
    low = np.arange(bins) / bins
    high = np.where(np.arange(bins) == bins - 1, np.inf, (np.arange(bins) + 1) / bins)
    inside = (s >= low) & (s < high)
    lost = np.where(inside, (s - low) / s, np.where(s >= high, 1 / (bins * s), 0.0))
    observed = np.where(seen[:, None], inside, lost).sum(0)
    statistic = float(((observed - count / bins) ** 2 / (count / bins)).sum())
    return CalibrationTest(statistic, float(chi2.sf(statistic, bins - 1)), count)


def split_by_probability(p: Floats, most: int = MAX_GROUPS, least: int = MIN_PER_GROUP) -> list[Indices]:
    """Split N patients into groups of equal size, in the order of their probabilities `[N]`."""
    groups = min(most, max(1, len(p) // least))
    return np.array_split(np.argsort(p, kind="stable"), groups)


def join_small_groups(parts: list[Indices], p: Floats) -> list[Indices]:
    """Join groups at both ends until each is expected to have `MIN_EXPECTED` patients with the event and as many
    without: of fewer the statistic is no longer χ²."""
    joined = list(parts)
    for first in (slice(0, 2), slice(-2, None)):
        end = 0 if first.start == 0 else -1
        while len(joined) > 1:
            mean = p[joined[end]].mean()
            if len(joined[end]) * min(mean, 1 - mean) >= MIN_EXPECTED:
                break
            joined[first] = [np.concatenate(joined[first])]
    return joined


def is_share_known(times: Floats, events: Floats, horizon: float) -> bool:
    """Whether somebody was followed to the horizon, or nobody was left when the last one had the event."""
    last = times.max()
    return bool(last >= horizon or (events[times == last] > 0).all())


def estimate_event_share(times: Floats, events: Floats, horizon: float) -> tuple[float, float]:
    """Estimate the share with the event by a horizon by Kaplan and Meier → (share, Greenwood's variance)."""
    curve = estimate_kaplan_meier(times, events)
    survival = float(evaluate_survival(curve, np.array([horizon]))[0])
    at, died = np.unique(times[(events > 0) & (times <= horizon)], return_counts=True)
    risk = (len(times) - np.searchsorted(np.sort(times), at, side="left")).astype(np.float64)
    # Where all of those at risk die the variance is not defined, and the survival is 0.
    terms = np.divide(died, risk * (risk - died), out=np.zeros_like(risk), where=risk > died)
    return 1 - survival, survival**2 * float(terms.sum())


def run_horizon_calibration_test(
    p: Floats, times: Floats, events: Floats, horizon: float, groups: int = MAX_GROUPS
) -> CalibrationTest:
    """Test one-calibration at a horizon: in groups of similar probability, the share with the event by Kaplan and Meier
    is compared with the mean probability: Σ m (O − p̄)² / (p̄ (1 − p̄)) is χ² with as many degrees of freedom as groups,
    because nothing was fitted on these patients.

    m is how many patients without censoring would know O as well: O (1 − O) / Greenwood's variance. D'Agostino and Nam
    (2003) take all n instead, and then reject sound predictions where many are censored. Without censoring it is n.
    """
    if not np.isfinite(p).all() or len(p) < 2 * MIN_PER_GROUP:
        return NOT_TESTED
    statistic, tested = 0.0, 0
    for own in join_small_groups(split_by_probability(p, groups), p):
        if not is_share_known(times[own], events[own], horizon):
            continue
        tested += 1
        mean = float(np.clip(p[own].mean(), SMALLEST_SHARE, 1 - SMALLEST_SHARE))
        observed, variance = estimate_event_share(times[own], events[own], horizon)
        # Where no event, or nothing else, was seen there is no variance: those whose outcome is known are counted.
        known = float(((times[own] > horizon) | (events[own] > 0)).sum())
        count = observed * (1 - observed) / variance if variance > 0 else known
        statistic += min(count, len(own)) * (observed - mean) ** 2 / (mean * (1 - mean))
    return CalibrationTest(statistic, float(chi2.sf(statistic, tested)), len(p)) if tested else NOT_TESTED


def compute_horizon_error(
    p: Floats, times: Floats, events: Floats, horizons: Sequence[float], censoring: TimeCurve
) -> float:
    """Compute the root of the squared calibration error at the horizons, less what chance adds.

    Of each group (p̄ − O)² − Greenwood's variance of O, O being the share with the event by Kaplan and Meier; the mean
    over groups and over the horizons that are defined. Without censoring close to `compute_debiased_error`.
    """
    squares: list[float] = []
    for h in list_usable_horizons(p, horizons, censoring):
        square = 0.0
        for own in split_by_probability(p[:, h]):
            observed, chance = estimate_event_share(times[own], events[own], horizons[h])
            square += len(own) / len(p) * ((float(p[own, h].mean()) - observed) ** 2 - chance)
        squares.append(square)
    return float(np.sqrt(max(float(np.mean(squares)), 0.0))) if squares else NAN


def list_usable_horizons(p: Floats, horizons: Sequence[float], censoring: TimeCurve) -> list[int]:
    """List the places of the horizons with probabilities `[N, H]` that enough patients are followed to."""
    return [
        h for h, t in enumerate(horizons) if np.isfinite(p[:, h]).all() and is_horizon_defined(censoring, t)
    ]


def measure_horizon_log_loss(p: Floats, horizons: Sequence[float], times: Floats, events: Floats) -> Floats:
    """Compute minus the logarithm of what was given to what is known of each patient `[N]`.

    The horizons cut time in pieces. Of an event the piece is known that it lies in, of a censored patient that the
    event comes after the last horizon passed. Horizons without probabilities are left out.
    """
    used = [h for h in np.argsort(horizons) if np.isfinite(p[:, h]).all()]
    at = np.array([horizons[h] for h in used], dtype=np.float64)
    edges = np.concatenate([np.zeros((len(p), 1)), p[:, used], np.ones((len(p), 1))], 1)
    # An event at exactly the horizon came by it; a patient censored there has passed it.
    place = np.where(
        events > 0, np.searchsorted(at, times, side="left"), np.searchsorted(at, times, side="right")
    )
    rows = np.arange(len(p))
    upper = np.where(events > 0, edges[rows, place + 1], 1.0)
    return np.asarray(-np.log(np.maximum(upper - edges[rows, place], SMALLEST_SHARE)))


def compute_integrated_brier(p: Floats, horizons: Sequence[float], times: Floats, events: Floats) -> float:
    """Compute the mean over the horizons of Graf's Brier score; those that few are followed to are left out."""
    censoring = estimate_censoring(times, events)
    scores = [
        compute_horizon_brier(p[:, h], times, events, horizons[h], censoring)
        for h in list_usable_horizons(p, horizons, censoring)
    ]
    return float(np.mean(scores)) if scores else NAN
