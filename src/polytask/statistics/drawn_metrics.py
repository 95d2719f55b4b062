"""AUC, Harrell's C, κ and R² on many resamples at once, without what each case adds to them (`influence`).

Every function takes how often each resample holds each case, `counts [resamples, cases]`, and returns the metric on
each resample `[resamples]`, NaN where it is not defined there. AUC and C are shares of pairs, and the pairs of a
resample are products of counts. So all resamples are a matrix product: no case is copied and nothing is sorted again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices, Mask
from polytask.statistics.influence import MIN_RELATIVE_SPREAD

CASES_PER_BLOCK = 256
"""Cases whose pairs with all others are in memory at once."""
PairFunction = Callable[[slice], tuple[Mask, Floats]]
"""Some cases → which pairs with each case count, and how right each is ordered (1, ½ or 0), `[some, cases]` both."""


def compute_drawn_areas(scores: npt.ArrayLike, positive: npt.ArrayLike, counts: Floats) -> Floats:
    """Compute the area under the ROC curve on each resample, ties one half, as `find_auc_shares` does on one."""
    s, p = np.asarray(scores, np.float64), np.asarray(positive, bool)

    def order_pairs(rows: slice) -> tuple[Mask, Floats]:
        return p[rows, None] & ~p, _compare_scores(s[rows, None], s)

    return _divide_pairs(order_pairs, s, counts)


def compute_drawn_concordances(
    risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike, counts: Floats
) -> Floats:
    """Compute Harrell's C on each resample, as `find_concordance_shares` does on one."""
    r, t, e = np.asarray(risk, np.float64), np.asarray(times, np.float64), np.asarray(events) > 0

    def order_pairs(rows: slice) -> tuple[Mask, Floats]:
        earlier = (t[rows, None] < t) | ((t[rows, None] == t) & ~e)
        return e[rows, None] & earlier, _compare_scores(r[rows, None], r)

    return _divide_pairs(order_pairs, r, counts)


def compute_drawn_kappas(truth: npt.ArrayLike, answer: npt.ArrayLike, counts: Floats) -> Floats:
    """Compute Cohen's κ with quadratic weights on each resample, as `find_kappa_shares` does on one."""
    t, a = np.asarray(truth, np.float64), np.asarray(answer, np.float64)
    n = counts.sum(1)
    by_chance = n * (counts @ t**2) - 2 * (counts @ t) * (counts @ a) + n * (counts @ a**2)
    values = np.stack(
        [counts[:, t == value].sum(1) > 0 for value in np.unique(t)] or [np.zeros(len(n), bool)]
    )
    is_defined = (n >= 2) & (values.sum(0) > 1)
    wrong = n * (counts @ (t - a) ** 2)
    return np.where(is_defined, 1 - wrong / np.where(is_defined, by_chance, 1.0), np.nan)


def compute_drawn_r2s(truth: npt.ArrayLike, answer: npt.ArrayLike, counts: Floats) -> Floats:
    """Compute R² on each resample, as `find_r2_shares` does on one."""
    t, a = np.asarray(truth, np.float64), np.asarray(answer, np.float64)
    n = counts.sum(1)
    mean = (counts @ t) / np.maximum(n, 1)
    # Around the mean of each resample: a difference of two large sums would lose digits.
    spread = (counts * (t - mean[:, None]) ** 2).sum(1)
    is_defined = (n >= 3) & (spread > MIN_RELATIVE_SPREAD * (counts @ t**2))
    return np.where(is_defined, 1 - (counts @ (t - a) ** 2) / np.where(is_defined, spread, 1.0), np.nan)


def count_drawn_cases(counts: Floats, subject: Indices) -> Floats:
    """Count how often each resample holds each case, from how often it holds each subject and the subject of each
    case: a subject that was drawn twice enters with all its cases twice."""
    return np.asarray(counts[:, subject], np.float64)


def _compare_scores(own: Floats, other: Floats) -> Floats:
    """Return 1 where the own score is higher, ½ where both are equal, 0 elsewhere."""
    return np.asarray(((own > other) * 1.0 + (own >= other)) / 2, np.float64)


def _divide_pairs(order_pairs: PairFunction, scores: Floats, counts: Floats) -> Floats:
    """Divide the pairs that are ordered right by all pairs, on each resample."""
    right, every = np.zeros(len(counts)), np.zeros(len(counts))
    for start in range(0, len(scores), CASES_PER_BLOCK):
        rows = slice(start, start + CASES_PER_BLOCK)
        counted, ordered = order_pairs(rows)
        # Sums of halves are exact, so the order of the additions does not matter.
        every += (counts[:, rows] * (counts @ counted.T.astype(np.float64))).sum(1)
        right += (counts[:, rows] * (counts @ np.where(counted, ordered, 0.0).T)).sum(1)
    is_defined = (every > 0) & ~counts[:, ~np.isfinite(scores)].any(1)
    return np.where(is_defined, right / np.where(is_defined, every, 1.0), np.nan)
