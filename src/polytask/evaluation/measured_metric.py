"""A metric of one run with its interval and with the influence of every subject on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats
from polytask.evaluation.interval_floors import IntervalMethod
from polytask.statistics.combined_interval import combine_intervals, find_correlations

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MeasuredMetric:
    """A metric with its interval and influences.

    Args:
        estimate: its value; NaN when it is not defined.
        influence: `[subjects]`, the derivative of the estimate by the weight of each subject; they sum to 0, and the
            variance of the estimate is about the sum of their squares. 0 for subjects without a known case.
        has_case: `[subjects]`, whether a subject has a known case.
        method: how the interval was found; each method has its own floor.
        low, high: ends of the interval; NaN without one.
        shortage: why there is no interval.
    """

    estimate: float
    influence: Floats
    has_case: Flags
    method: IntervalMethod
    low: float = NAN
    high: float = NAN
    shortage: str = ""

    def scale(self, slope: float, shift: float) -> MeasuredMetric:
        """Return slope · metric + shift with its interval; this is how a metric becomes a skill."""
        # A negative slope (an error that becomes a skill) swaps the ends.
        ends = sorted((slope * self.low + shift, slope * self.high + shift))
        return replace(
            self,
            estimate=slope * self.estimate + shift,
            influence=slope * self.influence,
            low=ends[0],
            high=ends[1],
        )


def build_undefined_metric(subjects: int, method: IntervalMethod = "other") -> MeasuredMetric:
    """Build a metric that is not defined on a part: NaN, without influences."""
    return MeasuredMetric(NAN, np.zeros(subjects), np.zeros(subjects, bool), method)


def combine_metrics(
    parts: Sequence[MeasuredMetric], weights: Sequence[float], correlations: Floats | None = None
) -> MeasuredMetric:
    """Compute Σ weight · metric: a mean over classes, labels or tasks, or a difference of two runs.

    It has no interval if one of its parts has none; the reason of that part is then kept.

    Args:
        correlations: `[parts, parts]` of the estimates; by default from the influences of the subjects.
    """
    influence = np.sum([w * p.influence for w, p in zip(weights, parts, strict=True)], axis=0)
    combined = MeasuredMetric(
        float(sum(w * p.estimate for w, p in zip(weights, parts, strict=True))),
        influence,
        np.any([p.has_case for p in parts], axis=0),
        parts[0].method,
    )
    if not np.isfinite(combined.estimate):
        return combined
    shortage = next((p.shortage for p in parts if p.shortage), "")
    if shortage or not all(np.isfinite([p.low, p.high]).all() for p in parts):
        return replace(combined, shortage=shortage)
    low, high = combine_intervals(
        weights,
        [p.estimate for p in parts],
        [p.low for p in parts],
        [p.high for p in parts],
        find_correlations([p.influence for p in parts]) if correlations is None else correlations,
    )
    return replace(combined, low=low, high=high)


def average_metrics(parts: Sequence[MeasuredMetric], subjects: int) -> MeasuredMetric:
    """Average metrics; undefined as soon as one part is undefined, or when there are no parts."""
    return (
        combine_metrics(parts, [1 / len(parts)] * len(parts)) if parts else build_undefined_metric(subjects)
    )
