"""Estimates of metrics from answers: on all subjects, per site, and the counts that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from polytask.evaluation.answers import Answers, Items
from polytask.evaluation.measure_part import measure_part
from polytask.evaluation.measured import Measured
from polytask.evaluation.misses import count_misses
from polytask.evaluation.result import Estimate, Metrics
from polytask.evaluation.statistic import SKILL, Statistic
from polytask.kinds import answer_form
from polytask.tasks.task import Task

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what is being done)."""


def estimates(
    statistic: Statistic, resamples: int, seed: int = 0
) -> tuple[Metrics, dict[str, Estimate], Estimate]:
    """Return (metrics by task, skill by task, mean skill); every interval is found by the method of its metric, see
    `metrics_by_kind.py`."""
    found = measure_part(statistic, resamples, seed)
    metrics: Metrics = {name: {} for name in statistic.tasks}
    for key, measured in found.items():
        name, _, metric = key.partition("/")
        if name and metric != SKILL:
            metrics[name][metric] = estimate_of(measured, statistic.n(name, metric))
    skills = {n: estimate_of(found[f"{n}/{SKILL}"], statistic.n(n, SKILL)) for n in statistic.tasks}
    return metrics, skills, estimate_of(found[f"/{SKILL}"], len(statistic.skilled))


def estimate_of(measured: Measured, n: int) -> Estimate:
    """Build the estimate that `evaluation.json` holds from a measured metric and its n."""
    return Estimate(measured.estimate, measured.low, measured.high, n, measured.shortage)


def by_site(
    tasks: Mapping[str, Task],
    answers: Answers,
    whole: Metrics,
    resamples: int,
    progress: Progress | None = None,
) -> dict[str, Metrics]:
    """Return site → metrics of its subjects. A part with a single site reuses the metrics of the whole part."""
    names = sorted({s for s in answers.sites.values() if s})
    # With one site everywhere its metrics are those of the whole part: no second bootstrap is needed.
    if len(names) == 1 and all(answers.sites.values()):
        return {names[0]: whole}
    found: dict[str, Metrics] = {}
    for k, name in enumerate(names):
        subjects = [s for s, site in answers.sites.items() if site == name]
        found[name] = estimates(Statistic(tasks, answers, subjects), resamples)[0]
        if progress:
            progress(k + 1, len(names), f"intervals of site {name}")
    return found


def describe(task: Task) -> dict[str, Any]:
    """Describe a task for readers of its numbers: kind, level, primary metric, unit and class names."""
    return {
        "kind": task.kind,
        "level": task.level,
        "primary": task.primary,
        "higher": task.higher,
        "unit": getattr(task, "unit", ""),
        "names": list(names_of(task)),
    }


def names_of(task: Task) -> Sequence[str]:
    """List the classes, labels or structures of a task; empty for a task without any."""
    for field in ("classes", "labels", "structures"):
        if hasattr(task, field):
            found: Sequence[str] = getattr(task, field)
            return found
    return ()


def counts(task: Task, answers: Answers) -> dict[str, Any]:
    """Count what the numbers of a task rest on: items, subjects, classes, events, empty masks."""
    ids = answers.ids(task.name)
    found: dict[str, Any] = {"items": len(ids)}
    if task.name in answers.voxel:
        cases = answers.voxel[task.name]
        # A case that defines no metric, such as a dose without a voxel to judge, has n 0 and does not count as known.
        judged = cases.column("n") > 0
        for metric in ("empty_truth", "empty_answer"):
            sums = {n: cases.column(f"{metric}.{n}") for n in names_of(task)}
            if answer_form(task.kind) == "masks":
                found[metric] = {n: int(np.nansum(v)) for n, v in sums.items()}
        if answer_form(task.kind) == "masks":
            found |= count_misses(cases, names_of(task))
    else:
        items = answers.pooled[task.name]
        judged = np.asarray(items.known.reshape(len(ids), -1).any(1) if ids else [], bool)
        found |= _of_kind(task, items)
    found["known"] = int(judged.sum())
    found["subjects"] = len({i[0] for i, k in zip(ids, judged, strict=True) if k})
    found["unanswered"] = answers.unanswered.get(task.name, 0)
    return found


def _of_kind(task: Task, items: Items) -> dict[str, Any]:
    if answer_form(task.kind) in ("class", "grade"):
        truth = np.asarray(items.value[items.known] if items.ids else [], np.int64)
        return {"classes": {c: int(np.sum(np.equal(truth, k))) for k, c in enumerate(names_of(task))}}
    if answer_form(task.kind) == "time":
        return {"events": int((items.value[items.known][:, 1] > 0).sum()) if items.ids else 0}
    if answer_form(task.kind) == "labels" and items.ids:
        known, there = items.known, (items.value > 0.5) & items.known
        return {
            "labels": {
                c: {"known": int(known[:, k].sum()), "present": int(there[:, k].sum())}
                for k, c in enumerate(names_of(task))
            }
        }
    return {}
