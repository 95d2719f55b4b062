"""Several comparisons at once: Holm's p-values, and intervals that agree with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class AdjustedComparison(NamedTuple):
    """The adjusted result of one comparison among several.

    Args:
        p: adjusted, NaN where there was none.
        level: confidence of the interval beside it, e.g. 0.9875; NaN likewise.
        shown: p ≤ α, which is true exactly when the interval at `level` does not contain 0.
    """

    p: float
    level: float
    shown: bool


def adjust_by_holm(p_values: Sequence[float], alpha: float = 0.05) -> list[AdjustedComparison]:
    """Adjust p-values after Holm 1979, over those that are defined (a comparison without one was not made).

    With p(1) ≤ … ≤ p(m), the adjusted p(j) is the largest of (m − i + 1) p(i) over i ≤ j, at most 1. The procedure
    compares p(1) with α/m, p(2) with α/(m − 1) and so on, and stops at the first p that is larger. The interval of a
    comparison has the level 1 − a at which the procedure judged it: a = α/(m − j + 1) for the j-th rejected, and for
    all others that of the place where it stopped. Equal p-values share the smaller a.

    Then p ≤ a is the same as adjusted p ≤ α: those rejected passed their own a, and those not rejected are no smaller
    than the p that failed. As interval and p come from one t, the interval excludes 0 exactly for the differences
    shown. All directions together are right with probability 1 − α; beyond that the bounds of the intervals are not
    simultaneous.
    """
    p = np.asarray(p_values, np.float64)
    order = [int(i) for i in np.argsort(p, kind="stable") if np.isfinite(p[i])]
    m = len(order)
    comparisons = [AdjustedComparison(float("nan"), float("nan"), False)] * len(p)
    adjusted, stopped, level, before = 0.0, False, 0.0, float("nan")
    for j, i in enumerate(order):
        # A later comparison may not pass where an earlier one failed, so adjusted p-values never fall.
        adjusted = max(adjusted, min(1.0, (m - j) * float(p[i])))
        if not stopped and p[i] != before:
            level = 1 - alpha / (m - j)
        stopped = stopped or adjusted > alpha
        before = float(p[i])
        comparisons[i] = AdjustedComparison(adjusted, level, not stopped)
    return comparisons
