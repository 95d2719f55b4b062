"""All metrics of a part, each with its interval and with the influence of every subject on it."""

from __future__ import annotations

import numpy as np

from polytask.array_types import Indices
from polytask.evaluation.end_to_end import measure_end_to_end_metrics
from polytask.evaluation.jackknife import measure_by_jackknife
from polytask.evaluation.measured_metric import MeasuredMetric, average_metrics, build_undefined_metric
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metrics_by_kind import average_voxel_cases, find_measure, measure_skill
from polytask.evaluation.part_statistic import SKILL_METRIC, PartStatistic, is_metric


def measure_all_tasks(
    statistic: PartStatistic, resamples: int = 1000, seed: int = 0
) -> dict[str, MeasuredMetric]:
    """Measure every task: `TASK/METRIC`, `TASK/skill`, and `/skill`, the mean over `statistic.skilled`."""
    metrics: dict[str, MeasuredMetric] = {}
    for name in statistic.tasks:
        task_metrics = measure_task_metrics(statistic, name, resamples, seed)
        metrics |= {f"{name}/{metric}": measured for metric, measured in task_metrics.items()}
    skills = [metrics[f"{name}/{SKILL_METRIC}"] for name in statistic.skilled]
    return metrics | {f"/{SKILL_METRIC}": average_metrics(skills, len(statistic.subjects))}


def measure_task_metrics(
    statistic: PartStatistic, name: str, resamples: int = 1000, seed: int = 0
) -> dict[str, MeasuredMetric]:
    """Measure the metrics of one task and its `skill`."""
    task, subjects = statistic.tasks[name], len(statistic.subjects)
    everybody = np.arange(subjects, dtype=np.int64)
    places = statistic.places[name]
    index = statistic.items(name, everybody)
    owner = np.repeat(everybody, [len(p) for p in places])
    calculator = MetricCalculator(subjects, owner, resamples, seed)
    measured: dict[str, MeasuredMetric] = {}
    if name in statistic.tables:
        table = statistic.tables[name]
        measured = average_voxel_cases(table.names, table.values[index], calculator)
    elif index.size and (measure := find_measure(task.kind)):
        measured = measure(task, statistic.answers.pooled[name].take(index), calculator)
    if index.size and (applies := statistic.applicability.get(name)) is not None:
        items = statistic.answers.pooled[name].take(index)
        measured |= measure_end_to_end_metrics(task, items, applies.take(index), calculator)
    whole = statistic.whole[name]
    wanted = [metric for metric in whole if is_metric(metric)]
    measured.setdefault(SKILL_METRIC, measure_skill(task, measured, subjects))
    # A plugin may compute a metric differently, or have metrics that are not known here: those are measured by the
    # jackknife, so that the interval is always that of the value which is printed.
    other_metrics = [
        m for m in wanted if m not in measured or not _is_same_value(measured[m].estimate, whole[m])
    ]
    if other_metrics and index.size:
        known: Indices = np.flatnonzero([len(p) > 0 for p in places]).astype(np.int64)
        measured |= measure_by_jackknife(
            lambda drawn: statistic.task(name, drawn), other_metrics, known, subjects, resamples, seed
        )
    if getattr(task, "landmarks", {}):
        # Metrics at a landmark need the visit of each item, which `task.metrics` does not see.
        wanted += [metric for metric in measured if metric not in whole]
    return {metric: measured.get(metric, build_undefined_metric(subjects)) for metric in wanted}


def _is_same_value(first: float, second: float) -> bool:
    """Whether two ways of computing a metric give the same value."""
    return bool(np.isclose(first, second, rtol=1e-9, atol=1e-9, equal_nan=True))
