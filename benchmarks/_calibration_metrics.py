"""AUC, Harrell's C, κ and R² of simulated subjects: a truth behind a latent z ~ N(0, 1), and what a score answers.

The metrics and what each subject contributes are the package's own (`statistics/influence.py`). On resamples they are
written once more, as sums over subjects or over pairs of them, so that all resamples of a study are one product of
matrices; `tests/statistics/test_calibration.py` holds one against the other.
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
"""Rate of leaving the study; the event's is e^z: 40 and 77 % of subjects are censored."""
CUTS = stats.norm.ppf([0.4, 0.7, 0.9])
"""Cut points of z that make four classes of 40, 30, 20 and 10 %."""
POSITIVE = {"auc": 0.5, "auc-rare": 0.2}
"""Share of positives in a fold."""


@dataclass(frozen=True)
class Observed:
    """The simulated subjects of a fold, and how scores of theirs are judged.

    Args:
        sense: what a score's slope acts on `[n]`.
        judge: scores `[n]` → the metric and its shares.
        resample: (scores `[seeds, n]`, counts `[resamples, n]`) → the metric `[seeds, resamples]`, NaN where it is not
            defined.
        rare: how many cases of the rarer class, or events.
    """

    sense: Floats
    judge: Callable[[Floats], MetricShares]
    resample: Callable[[Floats, Floats], Floats]
    rare: dict[str, int]


def observe(metric: str, rng: np.random.Generator, n: int, scale: float) -> Observed:
    """Subjects with their truth; `scale` is the standard deviation of a score."""
    z = rng.normal(size=n)
    if metric in POSITIVE:
        y = np.arange(n) < round(POSITIVE[metric] * n)
        rare = {"cases of the rarer class": int(min(y.sum(), n - y.sum()))}
        first = y[:, None] & ~y
        return Observed(
            y.astype(np.float64),
            lambda s: find_auc_shares(s, y),
            lambda s, w: resample_pairs(s, first, w),
            rare,
        )
    if metric in CENSORING:
        event, left = rng.exponential(size=n) * np.exp(-z), rng.exponential(size=n) / CENSORING[metric]
        times, happened = np.minimum(event, left), event <= left
        sooner = happened[:, None] & (times[:, None] < times)
        return Observed(
            z,
            lambda s: find_concordance_shares(s, times, happened),
            lambda s, w: resample_pairs(s, sooner, w),
            {"events": int(happened.sum())},
        )
    if metric == "kappa":
        grade = np.searchsorted(CUTS, z).astype(np.float64)

        def cut(s: Floats) -> Floats:
            return np.searchsorted(CUTS, s / scale).astype(np.float64)

        return Observed(
            z, lambda s: find_kappa_shares(grade, cut(s)), lambda s, w: resample_kappa(grade, cut(s), w), {}
        )
    shrink = 1.3 / scale**2
    return Observed(
        z, lambda s: find_r2_shares(z, shrink * s), lambda s, w: resample_r2(z, shrink * s, w), {}
    )


def resample_pairs(scores: Floats, pairs: np.ndarray, counts: Floats) -> Floats:
    """Share of the `pairs [n, n]` whose first has the higher score; scores without ties."""
    first, second = np.nonzero(pairs)
    both = (counts[:, first] * counts[:, second]).T
    won = (scores[:, first] > scores[:, second]).astype(np.float64) @ both
    total = both.sum(0)
    return np.asarray(won / np.where(total > 0, total, np.nan))


def resample_kappa(truth: Floats, answer: Floats, counts: Floats) -> Floats:
    """1 − Σ w (t − a)² / what it is by chance: sums of whole numbers, hence exact."""
    n = counts.sum(1)
    wrong, by_a, a_2 = (x @ counts.T for x in ((truth - answer) ** 2, answer, answer**2))
    by_t, t_2 = counts @ truth, counts @ truth**2
    chance = n * (t_2 + a_2) - 2 * by_t * by_a
    return np.asarray(1 - n * wrong / np.where(n * t_2 > by_t**2, chance, np.nan))


def resample_r2(truth: Floats, answer: Floats, counts: Floats) -> Floats:
    """1 − Σ w (t − a)² / Σ w (t − t̄)², t̄ the resample's own mean."""
    n = counts.sum(1)
    total = counts @ truth**2 - (counts @ truth) ** 2 / n
    return np.asarray(1 - ((answer - truth) ** 2 @ counts.T) / np.where(total > 1e-12 * n, total, np.nan))
