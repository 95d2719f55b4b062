"""Multinomial logistic regression with a ridge penalty."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax

from polytask.array_types import Floats


class LogisticFit(NamedTuple):
    """One score per class; the softmax of the scores gives the probabilities.

    Args:
        coefficients: `[classes, F]`. intercepts: `[classes]`, −inf for a class that does not occur.
    """

    coefficients: Floats
    intercepts: Floats

    def log_probabilities(self, x: npt.ArrayLike) -> Floats:
        """Compute the log probabilities `[N, classes]` of rows `[N, F]`."""
        scores = np.asarray(x, np.float64) @ self.coefficients.T + self.intercepts
        return np.asarray(log_softmax(scores, axis=1), np.float64)


def fit_logistic(x: npt.ArrayLike, classes: npt.ArrayLike, count: int, penalty: float) -> LogisticFit:
    """Minimize −Σ log p(class) + penalty/2 · Σ β²; intercepts are not penalized.

    With two classes this is the usual logistic model of the second class with coefficient β₁ − β₀ and half the penalty.

    Args:
        x: columns `[N, F]`. classes: index of each row's class `[N]`. count: number of classes.
        penalty: above 0.
    """
    columns, truth = np.asarray(x, np.float64), np.asarray(classes, np.int64)
    present = np.unique(truth)
    width = columns.shape[1]
    coefficients, intercepts = np.zeros((count, width)), np.full(count, -np.inf)
    if len(present) < 2:
        intercepts[present] = 0.0
        return LogisticFit(coefficients, intercepts)
    hot = (truth[:, None] == present).astype(np.float64)

    def objective(flat: Floats) -> tuple[float, Floats]:
        own = flat.reshape(len(present), width + 1)
        slopes = own[:, :width]
        logs = log_softmax(columns @ slopes.T + own[:, width], axis=1)
        gap = np.exp(logs) - hot
        gradient = np.concatenate([gap.T @ columns + penalty * slopes, gap.sum(0)[:, None]], axis=1)
        value = -float((hot * logs).sum()) + penalty / 2 * float((slopes**2).sum())
        return value, gradient.ravel()

    start = np.zeros((len(present), width + 1))
    # The frequencies are the answer without columns: from there the search needs few steps.
    start[:, width] = np.log(hot.mean(0))
    solution = minimize(
        objective,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 2000, "ftol": 1e-13, "gtol": 1e-7},
    ).x.reshape(len(present), width + 1)
    coefficients[present] = solution[:, :width]
    # Softmax does not feel a number that is added to all intercepts: with mean 0 there is one answer.
    intercepts[present] = solution[:, width] - solution[:, width].mean()
    return LogisticFit(coefficients, intercepts)
