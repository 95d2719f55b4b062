"""The jackknife: an interval for a metric of which nothing else is known, by leaving subjects out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from polytask.evaluation.floors import FLOORS, find_shortage
from polytask.evaluation.measured import NAN, Measured
from polytask.statistics.draws import Indices
from polytask.statistics.mean import judge_mean

MOST_GROUPS = 200
"""Most groups; where there are more subjects, several are left out together."""


def measure_by_leaving_out(
    metrics: Callable[[Indices], Mapping[str, float]],
    names: Sequence[str],
    known: Indices,
    subjects: int,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Measured]:
    """Measure metrics with jackknife intervals, by computing them without each of G groups of subjects.

    The pseudo-values G·θ − (G − 1)·(θ without group g) of Quenouille and Tukey are judged like a mean of G values.

    Args:
        metrics: function from positions of subjects to metrics. names: the metrics to measure.
        known: positions of the subjects with an item.
        subjects: number of subjects of the whole part.
    """
    whole = metrics(known)
    count = min(len(known), MOST_GROUPS)
    # Subjects are assigned in turn, so that the sizes of two groups differ by at most one subject.
    place = np.arange(len(known)) % max(1, count)
    without = [metrics(known[place != g]) for g in range(count)] if len(known) > 1 else []
    found = {}
    for name in names:
        estimate = float(whole.get(name, NAN))
        influence, there = np.zeros(subjects), np.zeros(subjects, bool)
        there[known] = True
        values = np.array([count * estimate - (count - 1) * w.get(name, NAN) for w in without], np.float64)
        if not np.isfinite(estimate) or not values.size or not np.isfinite(values).all():
            shortage = "undefined without a single subject" if np.isfinite(estimate) and values.size else ""
            found[name] = Measured(estimate, influence, there, "other", shortage=shortage)
            continue
        sizes = np.bincount(place, minlength=count)
        # A group's influence is shared equally by its subjects.
        influence[known] = ((values - values.mean()) / count / sizes)[place]
        shortage = find_shortage(FLOORS["other"], len(known))
        low = high = NAN
        if not shortage:
            low, high = judge_mean(values, resamples=resamples, seed=seed)[1:3]
        found[name] = Measured(estimate, influence, there, "other", low, high, shortage)
    return found
