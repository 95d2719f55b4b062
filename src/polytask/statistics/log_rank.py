"""The log-rank test: whether groups have the same survival."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from polytask.array_types import NAN


class LogRank(NamedTuple):
    """Result of a log-rank test.

    Args:
        statistic: chi². freedom: groups − 1. p: NaN where there is nothing to compare.
    """

    statistic: float
    freedom: int
    p: float


def compute_log_rank(times: npt.ArrayLike, events: npt.ArrayLike, groups: npt.ArrayLike) -> LogRank:
    """Compare the observed events of each group with those expected if all had the same hazard (Mantel's test).

    Args:
        times: `[N]`. events: `[N]`, 1 = observed. groups: `[N]`, any labels.
    """
    t, e = np.asarray(times, np.float64), np.asarray(events) > 0
    names, place = np.unique(np.asarray(groups), return_inverse=True)
    count = len(names)
    if count < 2 or not e.any():
        return LogRank(NAN, max(0, count - 1), NAN)
    gap, variance = np.zeros(count), np.zeros((count, count))
    for time in np.unique(t[e]):
        at_risk = np.bincount(place[t >= time], minlength=count).astype(np.float64)
        dead = np.bincount(place[(t == time) & e], minlength=count).astype(np.float64)
        n, d = at_risk.sum(), dead.sum()
        share = at_risk / n
        gap += dead - d * share
        if n > 1:
            variance += d * (n - d) / (n - 1) * (np.diag(share) - np.outer(share, share))
    # The groups' gaps sum to 0, so one of them is left out.
    tested = slice(0, count - 1)
    if np.linalg.matrix_rank(variance[tested, tested]) < count - 1:
        return LogRank(NAN, count - 1, NAN)
    statistic = float(gap[tested] @ np.linalg.solve(variance[tested, tested], gap[tested]))
    return LogRank(statistic, count - 1, float(stats.chi2.sf(statistic, count - 1)))
