"""The paired difference of a metric of two runs on the same subjects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polytask.evaluation.floors import GAP, find_shortage
from polytask.evaluation.measured import Measured, combine
from polytask.statistics.mean import judge_mean

MEANS = ("mean", "error", "bounded mean")


def subtract(mine: Measured, other: Measured, resamples: int = 1000, seed: int = 0) -> Measured:
    """mine − other, on the same items.

    Means (Dice, errors) are judged by their differences within every subject, like the effects of a study
    (`judge_mean`); others from both intervals and how the two metrics go together over subjects (`combine`). Where
    the floors of both are not met there is no interval. Answers that are the same on every subject differ by exactly 0.
    """
    found = combine([mine, other], [1.0, -1.0])
    if not np.isfinite(found.estimate) or found.shortage:
        return found
    if mine.estimate == other.estimate and np.array_equal(mine.influence, other.influence):
        return replace(found, low=0.0, high=0.0)
    if mine.method not in MEANS:
        return found
    count = int(found.there.sum())
    shortage = find_shortage(GAP, count)
    if shortage:
        return replace(found, low=float("nan"), high=float("nan"), shortage=shortage)
    values = found.estimate + count * found.influence[found.there]
    judged = judge_mean(values, resamples=resamples, seed=seed)
    return replace(found, low=judged.low, high=judged.high)
