"""Finds for whom a model is worse: primary metric and calibration of each site and subgroup, against everybody else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

import numpy as np

from polytask.array_types import NAN
from polytask.evaluation.calibration_error import estimate_calibration_error
from polytask.evaluation.evaluation_result import (
    Estimate,
    EstimatesByTask,
    StratumResult,
    SubgroupResult,
    SubgroupResults,
)
from polytask.evaluation.interval_floors import INTERVAL_FLOORS, explain_missing_interval
from polytask.evaluation.metric_estimates import Progress, estimate_metrics
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_statistic import PartStatistic
from polytask.evaluation.strata_results import compare_primary_metrics, list_strata, subtract_estimates
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks.task import Task

SITE = "site"
"""Sites are groups like any other; the header does not name them."""


class WorstGroup(NamedTuple):
    """The group in which a task is furthest behind the others.

    Args:
        clear: whether the interval of the difference excludes 0. compared: groups whose difference has an interval.
    """

    column: str
    group: str
    difference: Estimate
    clear: bool
    compared: int


def compare_subgroups(
    tasks: Mapping[str, Task],
    answers: PartAnswers,
    sites: Mapping[str, EstimatesByTask],
    strata: Mapping[str, Mapping[str, StratumResult]],
    resamples: int,
    progress: Progress | None = None,
) -> SubgroupResults:
    """Compare every site, and every stratum of each column, with everybody else; a column with one group is left out.

    Args:
        sites, strata: metrics that are estimated already.
    """
    results: SubgroupResults = {}
    by_column = {SITE: answers.sites, **answers.strata}
    for k, (column, by_subject) in enumerate(by_column.items()):
        names = list_strata(by_subject)
        if len(names) < 2:
            continue
        if progress:
            progress(k, len(by_column), f"compare by {column}")
        if column == SITE:
            inside: Mapping[str, EstimatesByTask] = sites
            differences = _compare_sites(tasks, answers, sites, resamples)
        else:
            inside = {name: strata[column][name].metrics for name in names}
            differences = {name: strata[column][name].differences for name in names}
        results[column] = {
            group: {
                name: SubgroupResult(
                    sum(own == group for own in by_subject.values()),
                    inside[group][name][task.primary],
                    differences[group][name],
                    *_compare_calibration(task, answers, by_subject, group, resamples),
                )
                for name, task in tasks.items()
            }
            for group in names
        }
    return results


def _compare_sites(
    tasks: Mapping[str, Task], answers: PartAnswers, sites: Mapping[str, EstimatesByTask], resamples: int
) -> dict[str, dict[str, Estimate]]:
    """Compare the primary metrics of each site with those of the subjects of all other sites."""
    differences = {}
    for site in sites:
        others = [other for other in sites if other != site]
        elsewhere = [s for s, own in answers.sites.items() if own and own != site]
        outside = (
            # With two sites the others are the other site: no further bootstrap is needed.
            sites[others[0]]
            if len(others) == 1
            else estimate_metrics(PartStatistic(tasks, answers, elsewhere), resamples)[0]
        )
        differences[site] = compare_primary_metrics(tasks, sites[site], outside)
    return differences


def _compare_calibration(
    task: Task, answers: PartAnswers, by_subject: Mapping[str, str], group: str, resamples: int
) -> tuple[Estimate, Estimate]:
    """Estimate the calibration error of a group, and its difference from that of all others."""
    own = [s for s, name in by_subject.items() if name == group]
    rest = [s for s, name in by_subject.items() if name and name != group]
    items = answers.pooled.get(task.name)
    here, there = (estimate_group_calibration(items, who, resamples) for who in (own, rest))
    return here, subtract_estimates(here, there)


def estimate_group_calibration(
    items: PooledAnswers | None, subjects: Sequence[str], resamples: int = 1000
) -> Estimate:
    """Estimate the expected calibration error of some subjects' answers, over all classes or labels of a task; NaN
    where there are no probabilities."""
    if items is None or "p" not in items.prediction or "risk" in items.prediction:
        return Estimate(NAN, NAN, NAN, 0)
    p, members = np.asarray(items.prediction["p"], np.float64), set(subjects)
    chosen = np.array([subject in members for subject, _ in items.ids], bool)
    known = items.known & (chosen[:, None] if items.known.ndim == 2 else chosen)
    who = np.array([subject for subject, _ in items.ids])
    if items.known.ndim == 2:
        happened, shown = items.value > 0.5, known
    else:
        happened = np.arange(p.shape[1]) == np.where(items.known, items.value, -1)[:, None]
        shown = np.broadcast_to(known[:, None], p.shape)
        if p.shape[1] == 2:
            # Of two classes the second says all.
            p, happened, shown = p[:, 1:], happened[:, 1:], shown[:, 1:]
    owner = np.broadcast_to(who[:, None], p.shape)[shown]
    error = estimate_calibration_error(p[shown], happened[shown], owner.tolist(), min(resamples, 200))
    reason = explain_missing_interval(INTERVAL_FLOORS["calibration"], len(set(owner.tolist())))
    return Estimate(error.estimate, error.low, error.high, int(known.sum()) if shown.any() else 0, reason)


def find_worst_group(results: SubgroupResults, task: str, higher: bool) -> WorstGroup | None:
    """Find the group in which a task is furthest behind all others; None where no difference has an interval.

    Args:
        higher: whether a higher primary metric is better.
    """
    compared = list(_list_compared(results, task))
    if not compared:
        return None
    sign = 1.0 if higher else -1.0
    column, group, worst = min(compared, key=lambda own: sign * own[2].estimate)
    clear = (worst.high if higher else -worst.low) < 0
    return WorstGroup(column, group, worst, clear, len(compared))


def _list_compared(results: SubgroupResults, task: str) -> Iterator[tuple[str, str, Estimate]]:
    for column, groups in results.items():
        for group, by_task in groups.items():
            if task in by_task and isfinite(by_task[task].difference.low):
                yield column, group, by_task[task].difference


def count_comparisons(results: SubgroupResults) -> int:
    """Count the differences with an interval; of two groups of a column one says all, as the other has its sign."""
    tasks = {name for groups in results.values() for by_task in groups.values() for name in by_task}
    return sum(
        1
        for column, groups in results.items()
        for name in tasks
        for _ in list(_list_compared({column: groups}, name))[: 1 if len(groups) == 2 else None]
    )


def explain_comparisons(results: SubgroupResults) -> str:
    """Say how many differences were looked at, and how many would stand out by chance."""
    count = count_comparisons(results)
    if not count:
        return "No group is large enough for the interval of a difference."
    one = f"{count} difference{'s' * (count != 1)} between groups had an interval"
    chance = f"about {count / 20:.2g} of them would exclude 0 by chance alone"
    return f"{one}; {chance}, they are not corrected for that."
