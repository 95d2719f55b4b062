"""The interval of Harrell's C, from what every subject adds to it, without resampling."""

from __future__ import annotations

import numpy as np
from scipy import stats

from polytask.array_types import NAN, Floats
from polytask.statistics.comparable_pairs import PairCounts
from polytask.statistics.unseen_subject import UNSEEN_WEIGHT

CONCORDANCE_LEVEL = 0.95
PRIOR_EVENTS = 6
"""The prior variance, that of a C-index of this size with exponential scores, counts as much as so many events."""


def find_concordance_influence(pairs: PairCounts) -> Floats:
    """Compute the derivative of C by the weight of each item `[items]`; they sum to 0.
    NaN without a comparable pair."""
    total = float(pairs.early.sum())
    if not total:
        return np.full(pairs.early.shape, NAN)
    c = float(pairs.early_right.sum()) / total
    right, count = pairs.early_right + pairs.late_right, pairs.early + pairs.late
    return np.asarray((right - c * count) / total, np.float64)


def find_concordance_interval(
    c: float, influence: Floats, pairs: float, events: int, level: float = CONCORDANCE_LEVEL
) -> tuple[float, float]:
    """Find the interval of C on the logit scale, so that it stays between 0 and 1.

    The variance is that of a U-statistic, Σ influence² · n/(n − 1) over subjects (for C: Pencina and D'Agostino 2004).
    With few events it is a poor estimate, and with all pairs ordered right it is 0. So it is averaged with the variance
    that Hanley and McNeil (1982) give an area of this height with m events among n subjects. The weights are m − 1 and
    `PRIOR_EVENTS`, and the interval has as many degrees of freedom as both together.

    Half an unseen subject (`unseen_subject.py`) takes part in as many pairs as half a subject does. It is ordered wrong
    for the lower end and right for the upper end. Half a pair on each side keeps C off its bounds.

    Args:
        c: the estimate.
        influence: `[subjects]` with a known case, summed over the subject's items.
        pairs: number of comparable pairs.
        events: number of subjects with an event.
    """
    n = len(influence)
    if not np.isfinite(c) or n < 2 or events < 2:
        return NAN, NAN
    seen = n / (n - 1) * float((influence**2).sum())
    freedom = events - 1 + PRIOR_EVENTS
    unseen, ends = 2 * UNSEEN_WEIGHT / n, []
    for side, right in ((-1, 0.0), (1, unseen)):
        inner = ((c + right) / (1 + unseen) * pairs + 0.5) / (pairs + 1)
        height = (inner / (2 - inner) + 2 * inner**2 / (1 + inner)) / 2 - inner**2
        prior = height / events + height / n
        variance = ((events - 1) * seen + PRIOR_EVENTS * prior) / freedom
        reach = float(stats.t.ppf((1 + level) / 2, freedom)) * np.sqrt(variance) / (inner * (1 - inner))
        ends.append(float(1 / (1 + np.exp(-(np.log(inner / (1 - inner)) + side * reach)))))
    # The estimates at the ends include the unseen subject, so an end might pass C itself.
    return min(ends[0], c), max(ends[1], c)
