"""The paired difference of a metric of two runs on the same subjects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polytask.evaluation.floors import GAP, find_shortage
from polytask.evaluation.measured import NAN, Measured, combine
from polytask.statistics.combine import find_correlations
from polytask.statistics.draws import Floats
from polytask.statistics.mean import judge_mean


def subtract(mine: Measured, other: Measured, resamples: int = 1000, seed: int = 0) -> Measured:
    """mine − other, on the same items.

    It is judged like the effects of a study (`judge_mean`): from the differences within every subject for means (Dice,
    errors), from those of what each subject adds to the metric for others (AUC, κ, R², C), so that what both runs find
    hard cancels. Shares, and metrics that no subject moves because all is right, are judged from both intervals and how
    the two go together over subjects (`combine`): two runs that were right on the same subjects, or on all, need not be
    equal. Below the floor of either there is no interval.
    """
    together = lessen_correlation(mine, other) if mine.method == "share" else None
    found = combine([mine, other], [1.0, -1.0], together)
    if not np.isfinite(found.estimate) or found.shortage:
        return found
    count = int(found.there.sum())
    shortage = find_shortage(GAP, count)
    if shortage:
        return replace(found, low=NAN, high=NAN, shortage=shortage)
    if mine.method == "share" or not (mine.influence.any() and other.influence.any()):
        return found
    values = found.estimate + count * found.influence[found.there]
    judged = judge_mean(values, resamples=resamples, seed=seed)
    return replace(found, low=judged.low, high=judged.high)


def lessen_correlation(mine: Measured, other: Measured) -> Floats:
    """Correlations `[2, 2]` of two shares, with Newcombe's continuity correction (1998, method 10).

    Of n subjects half a subject more is taken to be answered differently than was seen. Without it two runs that are
    right on the same half of the subjects would differ by exactly 0.
    """
    found = find_correlations([mine.influence, other.influence])
    spread = np.sqrt(np.prod([m.estimate * (1 - m.estimate) for m in (mine, other)]))
    if found[0, 1] > 0 and spread > 0:
        found[0, 1] = found[1, 0] = max(0.0, found[0, 1] - 1 / (2 * mine.there.sum() * spread))
    return found
