"""AUC, Harrell's C, κ and R² of simulated subjects, whose truth follows from a latent z ~ N(0, 1).

The metrics and the contribution of each subject come from the package (`statistics/influence.py`). For resamples they
are written a second time, as sums over subjects or pairs of subjects, so that all resamples of a study are one product
of matrices; `tests/statistics/test_calibration.py` compares both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from polytask.array_types import Floats
from polytask.statistics.influence import (
    MetricShares,
    find_auc_shares,
    find_concordance_shares,
    find_kappa_shares,
    find_r2_shares,
)

CENSORING = {"c": 0.6, "c-rare": 4.0}
"""Rate at which subjects leave the study. The rate of the event is e^z, so 40 and 77 % of subjects are censored."""
CUTS = stats.norm.ppf([0.4, 0.7, 0.9])
"""Cut points of z that give four classes with 40, 30, 20 and 10 % of the subjects."""
POSITIVE = {"auc": 0.5, "auc-rare": 0.2}
"""Share of positives in a fold."""


@dataclass(frozen=True)
class SimulatedFold:
    """The simulated subjects of a fold, and functions that judge scores of these subjects.

    Args:
        sense: the part of the truth `[n]` that a good score follows; the slope of a score multiplies it.
        judge: scores `[n]` → the metric and the share of each subject.
        resample: (scores `[seeds, n]`, counts `[resamples, n]`) → the metric `[seeds, resamples]`, NaN where it is not
            defined.
        rare: number of cases of the rarer class, or of events.
    """

    sense: Floats
    judge: Callable[[Floats], MetricShares]
    resample: Callable[[Floats, Floats], Floats]
    rare: dict[str, int]


def simulate_subjects(metric: str, rng: np.random.Generator, n: int, scale: float) -> SimulatedFold:
    """Draw subjects with their truth; `scale` is the standard deviation of a score."""
    z = rng.normal(size=n)
    if metric in POSITIVE:
        y = np.arange(n) < round(POSITIVE[metric] * n)
        rare = {"cases of the rarer class": int(min(y.sum(), n - y.sum()))}
        first = y[:, None] & ~y
        return SimulatedFold(
            y.astype(np.float64),
            lambda s: find_auc_shares(s, y),
            lambda s, w: resample_pairs(s, first, w),
            rare,
        )
    if metric in CENSORING:
        event, left = rng.exponential(size=n) * np.exp(-z), rng.exponential(size=n) / CENSORING[metric]
        times, happened = np.minimum(event, left), event <= left
        sooner = happened[:, None] & (times[:, None] < times)
        return SimulatedFold(
            z,
            lambda s: find_concordance_shares(s, times, happened),
            lambda s, w: resample_pairs(s, sooner, w),
            {"events": int(happened.sum())},
        )
    if metric == "kappa":
        grade = np.searchsorted(CUTS, z).astype(np.float64)

        def cut(s: Floats) -> Floats:
            return np.searchsorted(CUTS, s / scale).astype(np.float64)

        return SimulatedFold(
            z, lambda s: find_kappa_shares(grade, cut(s)), lambda s, w: resample_kappa(grade, cut(s), w), {}
        )
    shrink = 1.3 / scale**2
    return SimulatedFold(
        z, lambda s: find_r2_shares(z, shrink * s), lambda s, w: resample_r2(z, shrink * s, w), {}
    )


def resample_pairs(scores: Floats, pairs: np.ndarray, counts: Floats) -> Floats:
    """Compute the share of the `pairs [n, n]` in which the first has the higher score; the scores have no ties."""
    first, second = np.nonzero(pairs)
    both = (counts[:, first] * counts[:, second]).T
    won = (scores[:, first] > scores[:, second]).astype(np.float64) @ both
    total = both.sum(0)
    return np.asarray(won / np.where(total > 0, total, np.nan))


def resample_kappa(truth: Floats, answer: Floats, counts: Floats) -> Floats:
    """Compute quadratic κ: 1 − Σ w (t − a)² / its value by chance. Sums of whole numbers are exact."""
    n = counts.sum(1)
    wrong, by_a, a_2 = (x @ counts.T for x in ((truth - answer) ** 2, answer, answer**2))
    by_t, t_2 = counts @ truth, counts @ truth**2
    chance = n * (t_2 + a_2) - 2 * by_t * by_a
    return np.asarray(1 - n * wrong / np.where(n * t_2 > by_t**2, chance, np.nan))


def resample_r2(truth: Floats, answer: Floats, counts: Floats) -> Floats:
    """Compute R²: 1 − Σ w (t − a)² / Σ w (t − t̄)², where t̄ is the mean of the resample."""
    n = counts.sum(1)
    total = counts @ truth**2 - (counts @ truth) ** 2 / n
    return np.asarray(1 - ((answer - truth) ** 2 @ counts.T) / np.where(total > 1e-12 * n, total, np.nan))
