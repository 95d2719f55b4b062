"""Answers as yes/no questions: probabilities of yes with their truths, for thresholds and decision curves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.evaluation.metric_estimates import list_class_names
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task


class YesNoQuestion(NamedTuple):
    """All answers to one yes/no question of a task.

    Args:
        label: label of a multilabel task; "" for the positive class of two.
        subjects: subject of each item `[N]`, for resampling.
        p: probability of yes `[N]`. truth: whether it is yes `[N]`.
    """

    label: str
    subjects: tuple[str, ...]
    p: npt.NDArray[np.float64]
    truth: npt.NDArray[np.bool_]


def is_yes_no(task: Task) -> bool:
    """Whether a task has two classes, or labels."""
    return find_answer_form(task.kind) == "labels" or (
        find_answer_form(task.kind) == "class" and len(list_class_names(task)) == 2
    )


def list_yes_no_questions(task: Task, items: PooledAnswers) -> list[YesNoQuestion]:
    """List the questions of a task with their known items: one for two classes, one for each label."""
    if not is_yes_no(task):
        return []
    labels = list(list_class_names(task)) if find_answer_form(task.kind) == "labels" else [""]
    if not items.ids:
        nothing: npt.NDArray[Any] = np.zeros(0)
        return [YesNoQuestion(c, (), nothing, nothing.astype(bool)) for c in labels]
    p, questions = np.asarray(items.prediction["p"], np.float64), []
    for k, label in enumerate(labels):
        known, value = (items.known[:, k], items.value[:, k]) if label else (items.known, items.value)
        chance = p[:, k] if label else p[:, 1]
        known_items = np.flatnonzero(known & np.isfinite(chance))
        subjects = tuple(items.ids[i][0] for i in known_items)
        questions.append(
            YesNoQuestion(label, subjects, chance[known_items], np.asarray(value[known_items]) > 0.5)
        )
    return questions
