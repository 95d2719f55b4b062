"""The paired difference of a metric of two runs on the same subjects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polytask.array_types import NAN, Floats
from polytask.evaluation.interval_floors import DIFFERENCE_FLOOR, explain_missing_interval
from polytask.evaluation.measured_metric import MeasuredMetric, combine_metrics
from polytask.statistics.combined_interval import find_correlations
from polytask.statistics.mean_interval import find_mean_interval


def subtract_paired(
    mine: MeasuredMetric, other: MeasuredMetric, resamples: int = 1000, seed: int = 0
) -> MeasuredMetric:
    """Compute mine − other on the same items, with an interval that uses the pairing.

    The interval is computed like that of an effect of a study (`find_mean_interval`): for means (Dice, errors) from
    the difference within every subject, for other metrics (AUC, κ, R², C) from the difference of each subject's
    influence on the metric. So subjects that are hard for both runs do not widen it. Shares, and metrics that no
    subject influences because everything is right, are judged from the two intervals and the correlation of the two
    over subjects (`combine_metrics`), because two runs that were right on the same subjects, or on all, need not be
    equal. Below the floor of either metric there is no interval.
    """
    correlations = correct_share_correlation(mine, other) if mine.method == "share" else None
    difference = combine_metrics([mine, other], [1.0, -1.0], correlations)
    if not np.isfinite(difference.estimate) or difference.shortage:
        return difference
    count = int(difference.has_case.sum())
    shortage = explain_missing_interval(DIFFERENCE_FLOOR, count)
    if shortage:
        return replace(difference, low=NAN, high=NAN, shortage=shortage)
    if mine.method == "share" or not (mine.influence.any() and other.influence.any()):
        return difference
    # One pseudo-value a subject: their mean is the difference, because the influences sum to 0.
    values = difference.estimate + count * difference.influence[difference.has_case]
    judged = find_mean_interval(values, resamples=resamples, seed=seed)
    return replace(difference, low=judged.low, high=judged.high)


def correct_share_correlation(mine: MeasuredMetric, other: MeasuredMetric) -> Floats:
    """Compute the correlations `[2, 2]` of two shares, with Newcombe's continuity correction (1998, method 10).

    It assumes that of n subjects half a subject more is answered differently by the two runs than was observed. Without
    it the interval of two runs that are right on the same half of the subjects would be exactly 0 to 0.
    """
    correlations = find_correlations([mine.influence, other.influence])
    spread = np.sqrt(np.prod([m.estimate * (1 - m.estimate) for m in (mine, other)]))
    # Only a positive correlation narrows the interval of a difference, so only that is lessened.
    if correlations[0, 1] > 0 and spread > 0:
        correlations[0, 1] = correlations[1, 0] = max(
            0.0, correlations[0, 1] - 1 / (2 * mine.has_case.sum() * spread)
        )
    return correlations
