"""End to end: how good the answers to a task are that follows another, where cases that the other one rules out count.

The metrics of such a task are conditional: they rest on the cases to which it applies by the truth, whatever was
answered to the task that it follows. End to end, "does not apply" is one more answer: it is right where it is the
truth, and wrong where the task applies but the answer to the other task rules it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Indices, Mask
from polytask.evaluation.measured_metric import MeasuredMetric, average_metrics
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.part_answers import PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.kinds import find_answer_form
from polytask.kinds.ordinal import find_median_grades
from polytask.tasks.confusion import (
    average_over_classes,
    build_confusion_matrix,
    compute_accuracy,
    compute_quadratic_kappa,
    compute_sensitivity,
)
from polytask.tasks.task import Task

END_TO_END = "end_to_end"
"""Name of the row of these metrics: `accuracy.end_to_end`."""


@dataclass(frozen=True)
class Applicability:
    """Whether a task applies to each of its items.

    Args:
        truth: `[N]`, 1 where it applies by the truth, 0 where it does not, −1 where that is unknown.
        answered: `[N]`, whether it applies by the answer to the task that it follows.
    """

    truth: npt.NDArray[np.int64]
    answered: Mask

    def take(self, index: Indices) -> Applicability:
        """Return this for the items at these positions; a position may occur several times."""
        return Applicability(self.truth[index], self.answered[index])


@dataclass(frozen=True)
class EndToEndItems:
    """Truths and answers of the items whose truth is known end to end, and of those to which the task applies.

    Args:
        place: positions of these items. truth, answer: 0 = does not apply, 1 + class; none where a task has no classes.
        applied: positions of the items with a known answer. reached: whether these get an answer at all.
    """

    place: Indices
    truth: Indices
    answer: Indices
    applied: Indices
    reached: Mask


def find_applicability(name: str, tasks: Mapping[str, Task], answers: PartAnswers) -> Applicability | None:
    """Find whether a task applies to each of its items; None if it always does, or nobody answered what it follows."""
    conditions = getattr(tasks[name], "applies_when", {})
    other, words = next(iter(conditions.items()), ("", ()))
    if name not in answers.pooled or other not in tasks or other not in answers.pooled:
        return None
    own, deciding = answers.pooled[name], answers.pooled[other]
    truth, answered = np.full(len(own.ids), -1, np.int64), np.ones(len(own.ids), bool)
    if deciding.ids and own.ids:
        wanted = np.array([c in words for c in getattr(tasks[other], "classes", ())], bool)
        applies = np.where(deciding.known, wanted[deciding.value.astype(np.int64)], -1)
        called = wanted[find_answered_classes(tasks[other], deciding)]
        if (above := find_applicability(other, tasks, answers)) is not None:
            applies, called = np.where(above.truth == 0, 0, applies), called & above.answered
        place = {case_id: k for k, case_id in enumerate(deciding.ids)}
        # A diagnosis of the subject holds at each of its visits.
        found = np.array([place.get(i, place.get((i[0], ""), -1)) for i in own.ids], np.int64)
        truth = np.where(found >= 0, applies[found], truth)
        answered = np.where(found >= 0, called[found], answered)
    # Who has an answer is somebody to whom the task applies, also where the other truth is not known.
    return Applicability(np.where(_is_any_known(own) & (truth < 0), 1, truth), answered)


def find_answered_classes(task: Task, items: PooledAnswers) -> Indices:
    """Find the answered class `[N]` of a task of classes or grades, as `predictions.csv` names it."""
    p = np.asarray(items.prediction["p"], np.float64)
    return find_median_grades(p) if find_answer_form(task.kind) == "grade" else p.argmax(1)


def list_end_to_end_items(task: Task, items: PooledAnswers, applies: Applicability) -> EndToEndItems:
    """List the items whose truth is known end to end: an answer, or that the task does not apply."""
    known = _is_any_known(items) & (applies.truth != 0)
    applied = np.flatnonzero(known)
    reached = applies.answered[applied]
    if find_answer_form(task.kind) not in ("class", "grade") or not items.ids:
        nobody = np.zeros(0, np.int64)
        return EndToEndItems(nobody, nobody, nobody, applied, reached)
    place = np.flatnonzero(known | (applies.truth == 0))
    truth = np.where(known, 1 + items.value.astype(np.int64), 0)[place]
    answer = np.where(applies.answered, 1 + find_answered_classes(task, items), 0)[place]
    return EndToEndItems(place, truth, answer, applied, reached)


def compute_end_to_end_metrics(task: Task, items: PooledAnswers, applies: Applicability) -> dict[str, float]:
    """Compute `reached`, the share of known answers that the other task lets through; with classes also accuracy,
    balanced accuracy (the mean over the classes and "does not apply") and of grades quadratic κ, in which "does not
    apply" lies below the lowest grade."""
    found = list_end_to_end_items(task, items, applies)
    metrics = {"reached": float(found.reached.mean()) if found.reached.size else NAN}
    classes = _list_end_to_end_classes(task)
    if not classes:
        return metrics
    table = build_confusion_matrix(found.truth, found.answer, classes)
    recalls = [compute_sensitivity(table, k) for k in range(classes)]
    metrics[f"n.{END_TO_END}"] = float(found.truth.size)
    metrics[f"accuracy.{END_TO_END}"] = compute_accuracy(table)
    metrics[f"balanced_accuracy.{END_TO_END}"] = average_over_classes(recalls)
    if find_answer_form(task.kind) == "grade":
        metrics[f"kappa.{END_TO_END}"] = compute_quadratic_kappa(table)
    return metrics


def measure_end_to_end_metrics(
    task: Task, items: PooledAnswers, applies: Applicability, calculator: MetricCalculator
) -> dict[str, MeasuredMetric]:
    """Measure the metrics of `compute_end_to_end_metrics`, each with its interval."""
    found = list_end_to_end_items(task, items, applies)
    chosen = _flag(found.applied, calculator)
    metrics = {"reached": calculator.restrict_to(chosen).share(found.reached)}
    classes = _list_end_to_end_classes(task)
    if not classes:
        return metrics
    calculator = calculator.restrict_to(_flag(found.place, calculator))
    recalls = []
    for k in range(classes):
        own = found.truth == k
        recalls.append(calculator.restrict_to(own).share(found.answer[own] == k))
    metrics[f"accuracy.{END_TO_END}"] = calculator.share(found.truth == found.answer)
    metrics[f"balanced_accuracy.{END_TO_END}"] = average_metrics(recalls, calculator.subjects)
    if find_answer_form(task.kind) == "grade":
        metrics[f"kappa.{END_TO_END}"] = calculator.kappa(found.truth, found.answer, classes)
    return metrics


def _is_any_known(items: PooledAnswers) -> Mask:
    known: Mask = np.asarray(items.known, bool)
    return known if known.ndim == 1 else np.asarray(known.any(1), bool)


def _list_end_to_end_classes(task: Any) -> int:
    """Count the answers of a task of classes or grades, with "does not apply"; 0 for other tasks."""
    return 1 + len(task.classes) if find_answer_form(task.kind) in ("class", "grade") else 0


def _flag(place: Indices, calculator: MetricCalculator) -> Mask:
    return np.isin(np.arange(calculator.owner.size), place)
