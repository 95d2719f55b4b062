"""Results by stratum: all metrics of the subjects of each stratum, and how the stratum differs from all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np

from polytask.array_types import NAN
from polytask.evaluation.evaluation_result import Estimate, EstimatesByTask, StratumResult
from polytask.evaluation.metric_estimates import Progress, estimate_metrics
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.statistics.combined_interval import combine_intervals
from polytask.tasks.task import Task


def estimate_metrics_by_stratum(
    tasks: Mapping[str, Task], answers: PartAnswers, resamples: int, progress: Progress | None = None
) -> dict[str, dict[str, StratumResult]]:
    """Estimate the metrics of every stratum of every column of `answers.strata`.

    A column in which fewer than two strata occur has strata without differences.
    """
    results: dict[str, dict[str, StratumResult]] = {}
    total, done = sum(len(list_strata(s)) for s in answers.strata.values()), 0
    for column, by_subject in answers.strata.items():
        names, results[column] = list_strata(by_subject), {}
        members = {name: [s for s, own in by_subject.items() if own == name] for name in names}
        inside = {}
        for name in names:
            inside[name] = estimate_metrics(PartStatistic(tasks, answers, members[name]), resamples)[0]
            done += 1
            if progress:
                progress(done, total, f"intervals of {column} {name}")
        for name in names:
            others = [other for other in names if other != name]
            outside = (
                # With two strata the others are the other stratum: no further bootstrap is needed.
                inside[others[0]]
                if len(others) == 1
                else estimate_metrics(
                    PartStatistic(tasks, answers, [s for other in others for s in members[other]]), resamples
                )[0]
            )
            differences = compare_primary_metrics(tasks, inside[name], outside)
            results[column][name] = StratumResult(len(members[name]), inside[name], differences)
    return results


def list_strata(by_subject: Mapping[str, str]) -> list[str]:
    """List the strata that occur, without "", in the order of their names; bands of numbers come in ascending order."""
    return sorted({name for name in by_subject.values() if name}, key=_order_stratum)


def _order_stratum(name: str) -> tuple[float, str]:
    """Order bands by their lower cut (`< 50` comes first), then words by the alphabet."""
    if name.startswith("< "):
        return -np.inf, name
    start = name.removeprefix("≥ ").partition(" to < ")[0]
    try:
        return float(start), name
    except ValueError:
        return np.inf, name


def compare_primary_metrics(
    tasks: Mapping[str, Task], inside: EstimatesByTask, outside: EstimatesByTask
) -> dict[str, Estimate]:
    """Subtract the primary metrics of two disjoint sets of subjects."""
    return {
        name: subtract_estimates(inside[name][task.primary], outside[name][task.primary])
        for name, task in tasks.items()
    }


def subtract_estimates(here: Estimate, there: Estimate) -> Estimate:
    """Subtract the estimates of a metric of two disjoint sets of subjects.

    The sets share no subject, so that their estimates are independent: the interval of the difference follows from
    the two intervals by the method of variance estimates recovered.
    """
    low, high = NAN, NAN
    if np.isfinite([here[:3], there[:3]]).all():
        estimates, lows, highs = zip(here[:3], there[:3], strict=True)
        low, high = combine_intervals([1.0, -1.0], estimates, lows, highs, np.eye(2))
    difference = here.estimate - there.estimate
    n = here.n + there.n if np.isfinite(difference) else 0
    return Estimate(difference, low, high, n, here.reason or there.reason)


def average_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Average estimates of disjoint sets of subjects, weighed by n; those that are not defined are left out."""
    defined = [e for e in estimates if isfinite(e.estimate) and e.n]
    if len(defined) < 2:
        return defined[0] if defined else estimates[0]
    weights = np.array([e.n for e in defined]) / sum(e.n for e in defined)
    middle, lows, highs = (np.array([e[k] for e in defined]) for k in range(3))
    low, high = NAN, NAN
    if np.isfinite(lows).all():
        low, high = combine_intervals(weights, middle, lows, highs, np.eye(len(defined)))
    reason = next((e.reason for e in defined if e.reason), "")
    return Estimate(float(weights @ middle), low, high, sum(e.n for e in defined), reason)
