"""All metrics of a part as a function of the subjects in it, so that they can be computed again without some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from polytask.array_types import NAN, Indices
from polytask.evaluation.end_to_end import compute_end_to_end_metrics, find_applicability
from polytask.evaluation.part_answers import CaseMetrics, PartAnswers
from polytask.tasks.task import Task, expect_pooled_task

SKILL_METRIC = "skill"
COUNT_ENTRIES = ("n", "events", "volume", "empty_truth", "empty_answer")
"""Entries of a task's metrics that are counts or describe the truth; they get no interval."""


class CaseMetricMatrix:
    """Metrics of the cases of a voxel task as a matrix, so that a metric of some cases is a mean over rows."""

    def __init__(self, cases: CaseMetrics, primary: str):
        names = dict.fromkeys([primary, *(k for m in cases.metrics for k in m)])
        self.names = [n for n in names if is_metric(n)]
        columns = [cases.column(n) for n in self.names]
        self.values = np.stack(columns, axis=1) if len(cases.ids) else np.zeros((0, len(self.names)))
        self.is_defined = np.isfinite(self.values)
        self.filled = np.where(self.is_defined, self.values, 0.0)

    def __call__(self, index: Indices) -> dict[str, float]:
        """Average each metric over those of the cases in which it is defined."""
        count = self.is_defined[index].sum(0)
        means = np.where(count > 0, self.filled[index].sum(0) / np.maximum(count, 1), NAN)
        return dict(zip(self.names, means.tolist(), strict=True))

    def n(self, metric: str, index: Indices) -> int:
        """Count the cases in which a metric is defined; for the skill, those of the primary metric."""
        # The primary metric is always the first column.
        column = self.names.index(metric) if metric in self.names else 0
        return int(self.is_defined[index, column].sum())


class PartStatistic:
    """Maps subjects (by position) to `TASK/METRIC`, `TASK/skill` and `/skill`, the mean over the tasks.

    The mean skill is over the tasks whose skill is defined on all subjects. A selection of subjects in which one of
    them is undefined has no mean skill, so that the mean is always over the same tasks.
    """

    def __init__(self, tasks: Mapping[str, Task], answers: PartAnswers, subjects: Sequence[str]):
        self.tasks, self.answers, self.subjects = dict(tasks), answers, list(subjects)
        self.tables = {
            n: CaseMetricMatrix(c, tasks[n].primary) for n, c in answers.voxel.items() if n in tasks
        }
        followed = {n: find_applicability(n, self.tasks, answers) for n in self.tasks}
        self.applicability = {n: applies for n, applies in followed.items() if applies is not None}
        order = {s: i for i, s in enumerate(self.subjects)}
        self.places: dict[str, list[Indices]] = {}
        for name in self.tasks:
            rows: list[list[int]] = [[] for _ in self.subjects]
            for k, (subject, _) in enumerate(answers.ids(name)):
                if subject in order:
                    rows[order[subject]].append(k)
            self.places[name] = [np.array(r, np.int64) for r in rows]
        everybody = np.arange(len(self.subjects), dtype=np.int64)
        self.whole = {n: self.task(n, everybody) for n in self.tasks}
        self.skilled = [n for n, m in self.whole.items() if np.isfinite(m[SKILL_METRIC])]

    def task(self, name: str, drawn: Indices) -> dict[str, float]:
        """Compute metrics and skill of one task on the drawn subjects (positions)."""
        task = self.tasks[name]
        index = self.items(name, drawn)
        if name in self.tables:
            metrics = self.tables[name](index)
        elif not index.size:
            metrics = {}
        else:
            items = self.answers.pooled[name]
            prediction = {k: v[index] for k, v in items.prediction.items()}
            metrics = expect_pooled_task(task).metrics(prediction, items.value[index], items.known[index])
            if (applies := self.applicability.get(name)) is not None:
                metrics |= compute_end_to_end_metrics(task, items.take(index), applies.take(index))
        # The primary metric must be there even for a selection without any item: the skill is read from it.
        metrics = {task.primary: NAN, **metrics}
        return metrics | {SKILL_METRIC: task.skill(metrics)}

    def items(self, name: str, drawn: Indices) -> Indices:
        """Return the positions of all items of the drawn subjects; a subject that is drawn twice gives its items
        twice."""
        places = [self.places[name][i] for i in drawn]
        return np.concatenate(places) if places else np.zeros(0, np.int64)

    def __call__(self, drawn: Indices) -> dict[str, float]:
        """Compute the metrics and skills of all tasks on the drawn subjects, in one flat dict."""
        values: dict[str, float] = {}
        skills: list[float] = []
        for name in self.tasks:
            metrics = self.task(name, drawn)
            values |= {f"{name}/{k}": v for k, v in metrics.items() if is_metric(k)}
            if name in self.skilled:
                skills.append(metrics[SKILL_METRIC])
        return values | {f"/{SKILL_METRIC}": float(np.mean(skills)) if skills else NAN}

    def n(self, name: str, metric: str) -> int:
        """Count the known items that a metric on all subjects rests on; 0 when it is not defined."""
        metrics = self.whole[name]
        if not np.isfinite(metrics.get(metric, NAN)):
            return 0
        if name in self.tables:
            everybody = np.arange(len(self.subjects), dtype=np.int64)
            return self.tables[name].n(metric, self.items(name, everybody))
        # Every label of a multilabel task has its own count, `n.LABEL`.
        own = metrics.get(f"n.{metric.partition('.')[2]}")
        return int(own if own is not None else metrics.get("n", 0.0))


def is_metric(name: str) -> bool:
    """Whether an entry of a task's metrics is a metric, and not a count or a property of the truth."""
    return name.partition(".")[0] not in COUNT_ENTRIES
