"""Measures of a confusion matrix; NaN where a class that is needed does not occur in the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]
NAN = float("nan")


def confusion(truth: npt.ArrayLike, answer: npt.ArrayLike, classes: int) -> Counts:
    """Counts `[classes, classes]`: rows truth, columns answer."""
    t, a = np.asarray(truth, dtype=np.int64), np.asarray(answer, dtype=np.int64)
    return np.bincount(t * classes + a, minlength=classes**2).reshape(classes, classes).astype(np.float64)


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else NAN


def accuracy(m: Counts) -> float:
    """Share answered right."""
    return _ratio(float(np.trace(m)), float(m.sum()))


def sensitivity(m: Counts, k: int) -> float:
    """Of those in class k, the share found."""
    return _ratio(float(m[k, k]), float(m[k].sum()))


def specificity(m: Counts, k: int) -> float:
    """Of those not in class k, the share not put there."""
    others = float(m.sum() - m[k].sum())
    return _ratio(others - float(m[:, k].sum() - m[k, k]), others)


def f1(m: Counts, k: int) -> float:
    """Harmonic mean of precision and sensitivity of class k; NaN when it does not occur."""
    return NAN if m[k].sum() == 0 else float(2 * m[k, k] / (m[k].sum() + m[:, k].sum()))


def macro(values: Sequence[float]) -> float:
    """Mean over classes, NaN as soon as one is."""
    return float(np.mean(np.asarray(values, dtype=np.float64))) if len(values) else NAN


def quadratic_kappa(m: Counts) -> float:
    """Cohen's κ with quadratic weights; NaN when the truth has a single class."""
    if (m.sum(1) > 0).sum() < 2:
        return NAN
    place = np.arange(m.shape[0])
    weight = (place[:, None] - place[None, :]) ** 2
    chance = np.outer(m.sum(1), m.sum(0)) / m.sum()
    return float(1 - (weight * m).sum() / (weight * chance).sum())
