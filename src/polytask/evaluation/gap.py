"""The paired difference of a metric of two runs on the same subjects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polytask.evaluation.floors import GAP, find_shortage
from polytask.evaluation.measured import NAN, Measured, combine
from polytask.statistics.mean import judge_mean


def subtract(mine: Measured, other: Measured, resamples: int = 1000, seed: int = 0) -> Measured:
    """mine − other, on the same items.

    It is judged like the effects of a study (`judge_mean`): from the differences within every subject for means (Dice,
    errors), from those of what each subject adds to the metric for others (AUC, κ, R², C), so that what both runs find
    hard cancels. Shares, and metrics that no subject moves because all is right, are judged from both intervals and how
    the two go together over subjects (`combine`). Below the floor of either there is no interval. Answers that are the
    same on every subject differ by exactly 0.
    """
    found = combine([mine, other], [1.0, -1.0])
    if not np.isfinite(found.estimate) or found.shortage:
        return found
    count = int(found.there.sum())
    shortage = find_shortage(GAP, count)
    if shortage:
        return replace(found, low=NAN, high=NAN, shortage=shortage)
    if mine.estimate == other.estimate and np.array_equal(mine.influence, other.influence):
        return replace(found, low=0.0, high=0.0)
    if mine.method == "share" or not (mine.influence.any() and other.influence.any()):
        return found
    values = found.estimate + count * found.influence[found.there]
    judged = judge_mean(values, resamples=resamples, seed=seed)
    return replace(found, low=judged.low, high=judged.high)
