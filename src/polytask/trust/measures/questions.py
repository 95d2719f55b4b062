"""The questions of a task, each with an answer that is more or less sure and more or less wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Mask
from polytask.kinds.kind import AnswerForm
from polytask.kinds.ordinal import find_median_grades
from polytask.tasks.task import Arrays

ERROR_OF_NUMBERS = "mean absolute error"
SHARE_OF_ERRORS = "share of wrong answers"


@dataclass(frozen=True)
class Question:
    """The known answers to one question: a task, or one label of it.

    Args:
        confidence: `[n]`, how sure each answer is; higher is surer.
        loss: `[n]`, 1 for a wrong and 0 for a right answer; of numbers the absolute error.
        subjects: `[n]`, whose answer it is.
    """

    confidence: Floats
    loss: Floats
    subjects: npt.NDArray[np.str_]


Confidences = dict[str, Floats]
"""Place of a label ("" for a task with one question) → confidence of each answer `[N]`."""


def find_class_confidence(prediction: Arrays) -> Confidences:
    """Find the probability of the most probable class."""
    return {"": np.asarray(prediction["p"], np.float64).max(1)}


def find_grade_confidence(prediction: Arrays) -> Confidences:
    """Find the probability of the grade that is answered: the median one."""
    p = np.asarray(prediction["p"], np.float64)
    return {"": p[np.arange(len(p)), find_median_grades(p)]}


def find_label_confidence(prediction: Arrays) -> Confidences:
    """Find the probability of what is answered about each label, yes or no."""
    p = np.asarray(prediction["p"], np.float64)
    return {str(k): np.maximum(p[:, k], 1 - p[:, k]) for k in range(p.shape[1])}


def find_number_confidence(prediction: Arrays) -> Confidences:
    """Find minus the spread that is expected of each number: its interval is as long as that, up to a factor."""
    value = np.asarray(prediction["value"], np.float64)
    return {"": -np.asarray(prediction.get("spread", np.ones(len(value))), np.float64)}


def find_class_loss(prediction: Arrays, truth: Floats) -> Floats:
    """Find which classes are wrong: `[N, 1]`."""
    wrong = np.asarray(prediction["p"]).argmax(1) != truth
    return np.asarray(wrong[:, None], np.float64)


def find_grade_loss(prediction: Arrays, truth: Floats) -> Floats:
    """Find which grades are wrong: `[N, 1]`."""
    wrong = find_median_grades(np.asarray(prediction["p"])) != truth
    return np.asarray(wrong[:, None], np.float64)


def find_label_loss(prediction: Arrays, truth: Floats) -> Floats:
    """Find which labels are wrong: `[N, L]`."""
    return np.asarray((np.asarray(prediction["p"]) >= 0.5) != (truth > 0.5), np.float64)


def find_number_loss(prediction: Arrays, truth: Floats) -> Floats:
    """Find by how much numbers are wrong: `[N, 1]`."""
    return np.abs(np.asarray(prediction["value"], np.float64) - truth)[:, None]


FIND_CONFIDENCE: dict[AnswerForm, Callable[[Arrays], Confidences]] = {
    "class": find_class_confidence,
    "grade": find_grade_confidence,
    "labels": find_label_confidence,
    "number": find_number_confidence,
}
FIND_LOSS: dict[AnswerForm, Callable[[Arrays, Floats], Floats]] = {
    "class": find_class_loss,
    "grade": find_grade_loss,
    "labels": find_label_loss,
    "number": find_number_loss,
}
"""Form of an answer → how sure its answers are, and how wrong. Masks, doses and survival are not here: of them no
single number says how wrong an answer is."""


def list_questions(
    form: AnswerForm, prediction: Arrays, truth: Floats, known: Mask, subjects: npt.NDArray[np.str_]
) -> dict[str, Question]:
    """List the questions of a task with their known answers.

    Args:
        form: a key of `FIND_CONFIDENCE`. truth, known: `[N]`, of labels `[N, L]`. subjects: `[N]`.
    """
    losses = FIND_LOSS[form](prediction, truth)
    seen = known if known.ndim == 2 else known[:, None]
    return {
        name: Question(confidence[seen[:, k]], losses[seen[:, k], k], subjects[seen[:, k]])
        for k, (name, confidence) in enumerate(FIND_CONFIDENCE[form](prediction).items())
    }
