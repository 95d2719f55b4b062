"""The jackknife: an interval for a metric of which nothing else is known, by leaving subjects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from polytask.array_types import NAN, Indices
from polytask.evaluation.interval_floors import INTERVAL_FLOORS, explain_missing_interval
from polytask.evaluation.measured_metric import MeasuredMetric
from polytask.statistics.mean_interval import find_mean_interval

MAX_JACKKNIFE_GROUPS = 200
"""Most groups; where there are more subjects, several are left out together."""


def measure_by_jackknife(
    metrics: Callable[[Indices], Mapping[str, float]],
    names: Sequence[str],
    known: Indices,
    subjects: int,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, MeasuredMetric]:
    """Measure metrics with jackknife intervals, by computing them without each of G groups of subjects.

    The pseudo-values G·θ − (G − 1)·(θ without group g) of Quenouille and Tukey are judged like a mean of G values.

    Args:
        metrics: function from positions of subjects to metrics. names: the metrics to measure.
        known: positions of the subjects with an item.
        subjects: number of subjects of the whole part.
    """
    whole = metrics(known)
    count = min(len(known), MAX_JACKKNIFE_GROUPS)
    # Subjects are assigned in turn, so that the sizes of two groups differ by at most one subject.
    place = np.arange(len(known)) % max(1, count)
    without = [metrics(known[place != g]) for g in range(count)] if len(known) > 1 else []
    measured = {}
    for name in names:
        estimate = float(whole.get(name, NAN))
        influence, has_case = np.zeros(subjects), np.zeros(subjects, bool)
        has_case[known] = True
        values = np.array([count * estimate - (count - 1) * w.get(name, NAN) for w in without], np.float64)
        if not np.isfinite(estimate) or not values.size or not np.isfinite(values).all():
            is_fragile = np.isfinite(estimate) and values.size > 0
            shortage = "not defined when one of the subjects is left out" if is_fragile else ""
            measured[name] = MeasuredMetric(estimate, influence, has_case, "other", shortage=shortage)
            continue
        sizes = np.bincount(place, minlength=count)
        # A group's influence is shared equally by its subjects.
        influence[known] = ((values - values.mean()) / count / sizes)[place]
        shortage = explain_missing_interval(INTERVAL_FLOORS["other"], len(known))
        low = high = NAN
        if not shortage:
            low, high = find_mean_interval(values, resamples=resamples, seed=seed)[1:3]
        measured[name] = MeasuredMetric(estimate, influence, has_case, "other", low, high, shortage)
    return measured
