"""Computes measures of a confusion matrix; NaN where a class that is needed does not occur in the truth.

scikit-learn gives the same figures where they are defined (`tests/tasks/test_scores.py` compares them). It is not used
here because permutation tests and resamples call these functions for thousands of small sets, and scikit-learn takes
more than 50 times as long for one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN

ConfusionMatrix = npt.NDArray[np.float64]


def build_confusion_matrix(truth: npt.ArrayLike, answer: npt.ArrayLike, classes: int) -> ConfusionMatrix:
    """Count the items in a matrix `[classes, classes]`: rows are the truth, columns the answer."""
    # Each pair becomes one number, row · classes + column, so that a single bincount fills the matrix.
    t, a = np.asarray(truth, dtype=np.int64), np.asarray(answer, dtype=np.int64)
    return np.bincount(t * classes + a, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def _divide_counts(above: float, below: float) -> float:
    return above / below if below > 0 else NAN


def compute_accuracy(m: ConfusionMatrix) -> float:
    """Compute the share of items with the right answer."""
    return _divide_counts(float(np.trace(m)), float(m.sum()))


def compute_sensitivity(m: ConfusionMatrix, k: int) -> float:
    """Compute the share of the items of class k that were answered with k."""
    return _divide_counts(float(m[k, k]), float(m[k].sum()))


def compute_specificity(m: ConfusionMatrix, k: int) -> float:
    """Compute the share of the items of other classes that were not answered with k."""
    others = float(m.sum() - m[k].sum())
    return _divide_counts(others - float(m[:, k].sum() - m[k, k]), others)


def compute_f1(m: ConfusionMatrix, k: int) -> float:
    """Compute the harmonic mean of precision and sensitivity of class k; NaN when the class does not occur."""
    return NAN if m[k].sum() == 0 else float(2 * m[k, k] / (m[k].sum() + m[:, k].sum()))


def average_over_classes(values: Sequence[float]) -> float:
    """Average a measure over classes; NaN if one of the values is NaN."""
    return float(np.mean(np.asarray(values, dtype=np.float64))) if len(values) else NAN


def compute_quadratic_kappa(m: ConfusionMatrix) -> float:
    """Compute Cohen's κ with quadratic weights; NaN when the truth has a single class."""
    if (m.sum(1) > 0).sum() < 2:
        return NAN
    place = np.arange(m.shape[0])
    weight = (place[:, None] - place[None, :]) ** 2
    chance = np.outer(m.sum(1), m.sum(0)) / m.sum()
    return float(1 - (weight * m).sum() / (weight * chance).sum())
