"""Estimates of metrics from answers: on all subjects, per site, and the counts that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from polytask.evaluation.end_to_end import find_applicability
from polytask.evaluation.evaluation_result import Estimate, EstimatesByTask
from polytask.evaluation.measured_metric import MeasuredMetric
from polytask.evaluation.missed_structures import count_missed_structures
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_metrics import measure_all_tasks
from polytask.evaluation.part_statistic import SKILL_METRIC, PartStatistic
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


def estimate_metrics(
    statistic: PartStatistic, resamples: int, seed: int = 0
) -> tuple[EstimatesByTask, dict[str, Estimate], Estimate]:
    """Return (metrics by task, skill by task, mean skill); every interval is found by the method of its metric, see
    `metrics_by_kind.py`."""
    measured_by_key = measure_all_tasks(statistic, resamples, seed)
    metrics: EstimatesByTask = {name: {} for name in statistic.tasks}
    for key, measured in measured_by_key.items():
        name, _, metric = key.partition("/")
        if name and metric != SKILL_METRIC:
            # A metric at a landmark rests on the subjects at risk there, each with one item.
            counted = metric in statistic.whole[name]
            n = statistic.n(name, metric) if counted else int(measured.has_case.sum())
            metrics[name][metric] = build_estimate(measured, n)
    skills = {
        n: build_estimate(measured_by_key[f"{n}/{SKILL_METRIC}"], statistic.n(n, SKILL_METRIC))
        for n in statistic.tasks
    }
    return metrics, skills, build_estimate(measured_by_key[f"/{SKILL_METRIC}"], len(statistic.skilled))


def build_estimate(measured: MeasuredMetric, n: int) -> Estimate:
    """Build the estimate that `evaluation.json` holds from a measured metric and its n."""
    return Estimate(measured.estimate, measured.low, measured.high, n, measured.shortage)


def estimate_metrics_by_site(
    tasks: Mapping[str, Task],
    answers: PartAnswers,
    whole: EstimatesByTask,
    resamples: int,
    progress: Progress | None = None,
) -> dict[str, EstimatesByTask]:
    """Return site → metrics of its subjects. A part with a single site reuses the metrics of the whole part."""
    names = sorted({s for s in answers.sites.values() if s})
    # With one site everywhere its metrics are those of the whole part: no second bootstrap is needed.
    if len(names) == 1 and all(answers.sites.values()):
        return {names[0]: whole}
    metrics_by_site: dict[str, EstimatesByTask] = {}
    for k, name in enumerate(names):
        subjects = [s for s, site in answers.sites.items() if site == name]
        metrics_by_site[name] = estimate_metrics(PartStatistic(tasks, answers, subjects), resamples)[0]
        if progress:
            progress(k + 1, len(names), f"intervals of site {name}")
    return metrics_by_site


def describe_task(task: Task) -> dict[str, Any]:
    """Describe a task for readers of its numbers: kind, level, primary metric, unit and class names."""
    return {
        "kind": task.kind,
        "level": task.level,
        "primary": task.primary,
        "higher": task.higher,
        "unit": getattr(task, "unit", ""),
        "names": list(list_class_names(task)),
        **(
            {"applies_when": {k: list(v) for k, v in conditions.items()}}
            if (conditions := getattr(task, "applies_when", {}))
            else {}
        ),
    }


def list_class_names(task: Task) -> Sequence[str]:
    """List the classes, labels or structures of a task; empty for a task without any."""
    for field in ("classes", "labels", "structures"):
        if hasattr(task, field):
            names: Sequence[str] = getattr(task, field)
            return names
    return ()


def count_evidence(
    task: Task, answers: PartAnswers, tasks: Mapping[str, Task] | None = None
) -> dict[str, Any]:
    """Count what the numbers of a task rest on: items, subjects, classes, events, empty masks, and for a task that
    follows another one of `tasks` the items to which it does not apply."""
    ids = answers.ids(task.name)
    counts: dict[str, Any] = {"items": len(ids)}
    if task.name in answers.voxel:
        cases = answers.voxel[task.name]
        # A case that defines no metric, such as a dose without a voxel to judge, has n 0 and does not count as known.
        judged = cases.column("n") > 0
        for metric in ("empty_truth", "empty_answer"):
            sums = {n: cases.column(f"{metric}.{n}") for n in list_class_names(task)}
            if find_answer_form(task.kind) == "masks":
                counts[metric] = {n: int(np.nansum(v)) for n, v in sums.items()}
        if find_answer_form(task.kind) == "masks":
            counts |= count_missed_structures(cases, list_class_names(task))
    else:
        items = answers.pooled[task.name]
        judged = np.asarray(items.known.reshape(len(ids), -1).any(1) if ids else [], bool)
        counts |= _count_by_answer_form(task, items)
    if (applies := find_applicability(task.name, {**(tasks or {}), task.name: task}, answers)) is not None:
        counts["not_applicable"] = int((applies.truth == 0).sum())
    counts["known"] = int(judged.sum())
    counts["subjects"] = len({i[0] for i, k in zip(ids, judged, strict=True) if k})
    counts["unanswered"] = answers.unanswered.get(task.name, 0)
    return counts


def _count_by_answer_form(task: Task, items: PooledAnswers) -> dict[str, Any]:
    if find_answer_form(task.kind) in ("class", "grade"):
        truth = np.asarray(items.value[items.known] if items.ids else [], np.int64)
        return {"classes": {c: int(np.sum(np.equal(truth, k))) for k, c in enumerate(list_class_names(task))}}
    if find_answer_form(task.kind) == "time":
        return {"events": int((items.value[items.known][:, 1] > 0).sum()) if items.ids else 0}
    if find_answer_form(task.kind) == "labels" and items.ids:
        known, present = items.known, (items.value > 0.5) & items.known
        return {
            "labels": {
                c: {"known": int(known[:, k].sum()), "present": int(present[:, k].sum())}
                for k, c in enumerate(list_class_names(task))
            }
        }
    return {}
