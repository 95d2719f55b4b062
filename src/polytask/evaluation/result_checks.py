"""Checks that results read from disk fit the run they lie in: its tasks, and the shape of every answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch

from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.metric_estimates import describe_task, list_class_names
from polytask.evaluation.part_answers import PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task

COMPARED_TASK_FIELDS = ("kind", "level", "primary", "names")
"""Fields of a task that must be the same in a result and in its run. The `names` of a dose may differ: they are the
structures whose dose-volume histogram the cohort could give."""


def find_result_problems(
    evaluation: Evaluation, answers: PartAnswers, tasks: Mapping[str, Task]
) -> Iterator[tuple[str, str]]:
    """Yield (`evaluation` or `answers`, why it cannot belong to these tasks) for every problem."""
    if set(evaluation.tasks) != set(tasks):
        yield "evaluation", "its tasks are not those of the run"
        return
    for name, task in tasks.items():
        described, known = evaluation.tasks[name], describe_task(task)
        for key in COMPARED_TASK_FIELDS:
            if described[key] != known[key] and not (
                key == "names" and find_answer_form(task.kind) == "field"
            ):
                yield "evaluation", f"tasks.{name}.{key} is not that of the run"
    pooled = {n for n, t in tasks.items() if t.level != "voxel"}
    if set(answers.pooled) != pooled or set(answers.voxel) != set(tasks) - pooled:
        yield "answers", "its tasks are not those of the run"
        return
    if set(answers.sites) != set(evaluation.subjects):
        yield "answers", "its subjects are not those of the evaluation"
    for name in tasks:
        if any(subject not in answers.sites for subject, _ in answers.ids(name)):
            yield "answers", f"{name}: a subject that is not in `sites`"
    for name, items in answers.pooled.items():
        if items.ids and (problem := find_pooled_problem(tasks[name], items)):
            yield "answers", f"{name}: {problem}"


def find_pooled_problem(task: Task, items: PooledAnswers) -> str:
    """Explain why these arrays cannot be answers of this task; empty when they can be."""
    count = len(list_class_names(task))
    # The truth of a survival item is a pair (time, event); a multilabel item has a value and a known flag per label.
    form = find_answer_form(task.kind)
    inner = {"time": (2,), "labels": (count,)}.get(form, ())
    known = inner if form == "labels" else ()
    if items.value.shape[1:] != inner or items.known.shape[1:] != known:
        return f"truths of the shape {items.value.shape[1:]} with known flags of the shape {items.known.shape[1:]}"
    # Decoding one row of zeros shows which arrays this task predicts, and the shape of one item in each.
    for key, example in task.decode(torch.zeros(1, task.outputs)).items():
        if key not in items.prediction or items.prediction[key].shape[1:] != tuple(example.shape[1:]):
            return f"no prediction `{key}` of the shape {tuple(example.shape[1:])}"
    classes = items.value[items.known] if form in ("class", "grade") else np.zeros(0)
    if classes.size and not (np.isin(classes, np.arange(count)).all()):
        return f"a truth that is not one of its {count} classes"
    return ""
