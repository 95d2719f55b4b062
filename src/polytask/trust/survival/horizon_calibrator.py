"""Calibrates the probabilities of the event by each horizon, horizon by horizon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from polytask.array_types import Floats, Mask
from polytask.kinds.step_curves import TimeCurve
from polytask.tasks.survival_metrics import compute_censoring_weights, is_horizon_defined
from polytask.trust.calibrators import LARGEST_LOG_SLOPE, PRIOR_WEIGHT, SMALLEST_SHARE

MAX_STEPS = 50
SMALLEST_STEP = 1e-7


@dataclass(frozen=True)
class HorizonCalibrator:
    """Shift and logarithm of the slope of the logit, for each horizon."""

    numbers: tuple[tuple[float, float], ...]

    def apply(self, p: Floats) -> Floats:
        """Calibrate probabilities `[N, H]` in the order of their horizons; later ones are made no smaller than earlier
        ones by averaging where they cross (isotonic regression)."""
        numbers = np.array(self.numbers).reshape(-1, 2)
        defined = np.isfinite(p).all(0)
        moved = np.array(p, dtype=np.float64)
        own = numbers[defined]
        moved[:, defined] = pool_falling(
            expit(
                own[:, 0]
                + np.exp(own[:, 1]) * logit(np.clip(p[:, defined], SMALLEST_SHARE, 1 - SMALLEST_SHARE))
            )
        )
        return moved


def pool_falling(p: Floats) -> Floats:
    """Replace each row `[H]` by the nearest one that never falls: the largest mean that begins before, among the
    smallest that end behind."""
    count = p.shape[1]
    means = {(i, k): p[:, i : k + 1].mean(1) for i in range(count) for k in range(i, count)}
    columns = [
        np.max([np.min([means[i, k] for k in range(j, count)], axis=0) for i in range(j + 1)], axis=0)
        for j in range(count)
    ]
    return np.stack(columns, 1) if columns else p


def fit_horizons(
    p: Floats, horizons: Sequence[float], times: Floats, events: Floats, censoring: TimeCurve
) -> HorizonCalibrator:
    """Fit shift and slope of each horizon on N patients, weighed by the inverse probability of censoring, with the weak
    prior of the other calibrators. A horizon that few are followed to stays as it is."""
    weights = compute_censoring_weights(times, censoring)
    numbers = []
    for h, t in enumerate(horizons):
        case, beyond = (times <= t) & (events > 0), times > t
        keep = case | beyond
        if not (np.isfinite(p[:, h]).all() and is_horizon_defined(censoring, t) and keep.any()):
            numbers.append((0.0, 0.0))
            continue
        late = compute_censoring_weights(np.nextafter([t], np.inf), censoring)[0]
        numbers.append(_fit_logit(p[keep, h], case[keep], np.where(case, weights, late)[keep]))
    return HorizonCalibrator(tuple(numbers))


def _fit_logit(p: Floats, happened: Mask, weight: Floats) -> tuple[float, float]:
    """Fit (shift, logarithm of the slope) by Newton's method with the expected curvature, which is never negative."""
    z = logit(np.clip(p, SMALLEST_SHARE, 1 - SMALLEST_SHARE))
    x, misfit = np.zeros(2), _measure_misfit(np.zeros(2), z, happened, weight)
    for _ in range(MAX_STEPS):
        share = expit(x[0] + np.exp(x[1]) * z)
        slopes = np.stack([np.ones_like(z), np.exp(x[1]) * z])
        pull = slopes @ (weight * (share - happened)) + PRIOR_WEIGHT * x
        curvature = (slopes * (weight * share * (1 - share))) @ slopes.T + PRIOR_WEIGHT * np.eye(2)
        step = np.linalg.solve(curvature, pull)
        while True:  # halve the step until the misfit does not grow
            tried = np.clip(x - step, -LARGEST_LOG_SLOPE, LARGEST_LOG_SLOPE)
            after = _measure_misfit(tried, z, happened, weight)
            if after <= misfit or np.abs(step).max() < SMALLEST_STEP:
                break
            step = step / 2
        x, gain, misfit = tried, misfit - after, after
        if gain <= SMALLEST_STEP:
            break
    return float(x[0]), float(x[1])


def _measure_misfit(x: Floats, z: Floats, happened: Mask, weight: Floats) -> float:
    told = x[0] + np.exp(x[1]) * z
    return float((weight * (np.logaddexp(0, told) - happened * told)).sum()) + PRIOR_WEIGHT * float(x @ x) / 2
