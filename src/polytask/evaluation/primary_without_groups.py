"""Computes a task's primary metric without each of several groups of items."""

from __future__ import annotations

import numpy as np

from polytask.array_types import Floats, Indices
from polytask.inference.pooled_answers import PooledAnswers
from polytask.statistics.leave_group_out import (
    Flags,
    find_area_without,
    find_concordance_without,
    find_kappa_without,
    find_r2_without,
)
from polytask.tasks.classification import Classification
from polytask.tasks.multilabel import Multilabel
from polytask.tasks.ordinal import Ordinal
from polytask.tasks.regression import Regression
from polytask.tasks.survival import Survival
from polytask.tasks.task import Task

MetricParts = dict[str, Floats]


def measure_without_groups(
    task: Task, items: PooledAnswers, group: Indices, groups: int
) -> MetricParts | None:
    """Compute what `task.metrics` gives for the items without each group, in one pass over all groups.

    Args:
        items: answers of the task, known and unknown. group: `[items]`, group of each item, 0 … groups − 1.

    Returns:
        Metric → values `[groups]`, NaN where it is not defined: `auc.CLASS` for each of several classes or labels, else
        the primary metric. None where no fast way is known: a plugin's kind of task, or answers that are not finite.
    """
    known = np.asarray(items.known, bool)
    name = "risk" if isinstance(task, Survival) else "value" if isinstance(task, Regression) else "p"
    if name not in items.prediction or not len(known):
        return None
    has_known = known.reshape(len(known), -1).any(1)
    answer, value = np.asarray(items.prediction[name], np.float64), np.asarray(items.value)
    if not np.isfinite(answer[has_known]).all() or not np.isfinite(value[known]).all():
        return None
    # Labels are known separately, so each one selects its own items below.
    if isinstance(task, Multilabel) and task.primary == "auc":
        return _measure_label_areas(task, answer, value, known, group, groups)
    answer, value, group = answer[known], value[known], group[known]
    if isinstance(task, Classification) and task.primary == "auc":
        names = {"auc": 1} if task.outputs == 2 else {f"auc.{c}": k for k, c in enumerate(task.classes)}
        return {n: find_area_without(answer[:, k], value == k, group, groups) for n, k in names.items()}
    if isinstance(task, Survival) and task.primary == "c":
        times, events = np.asarray(value, np.float64).reshape(-1, 2).T
        return {"c": find_concordance_without(answer, times, events, group, groups)}
    if isinstance(task, Ordinal) and task.primary == "kappa":
        return {"kappa": find_kappa_without(value.astype(np.int64), task.grade({"p": answer}), group, groups)}
    if isinstance(task, Regression) and task.primary == "r2":
        truth = value.astype(np.float64)

        def judge(rest: Flags) -> float:
            return task.metrics({"value": answer[rest]}, truth[rest], np.ones(int(rest.sum()), bool))["r2"]

        return {"r2": find_r2_without(truth, answer, group, groups, judge)}
    return None


def _measure_label_areas(
    task: Multilabel, answer: Floats, value: Floats, known: Flags, group: Indices, groups: int
) -> MetricParts:
    areas = {}
    for k, label in enumerate(task.labels):
        is_known = known[:, k]
        positive = value[is_known, k] > 0.5
        areas[f"auc.{label}"] = find_area_without(answer[is_known, k], positive, group[is_known], groups)
    return areas
