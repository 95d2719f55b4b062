"""The simple models by kind of task: logistic, linear and Cox regression; cross-validation chooses their penalty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.kinds.step_curves import estimate_breslow_hazard
from polytask.statistics.cox_model import compute_cox_likelihood, fit_cox
from polytask.statistics.logistic import LogisticFit, fit_logistic

RowIndices = npt.NDArray[np.int64]
CANDIDATE_PENALTIES = (0.001, 0.01, 0.1, 1.0, 10.0)
"""Ridge penalties that are tried, per item (per event for Cox regression)."""
DEFAULT_PENALTY = 0.1
"""The penalty that is used where there are too few subjects to choose one."""
PENALTY_FOLDS = 5
MIN_SUBJECTS_TO_TUNE = 20
MIN_TRUE_PROBABILITY = 1e-6
"""Lower limit of the probability of a left-out case's true class, so that no single case decides the penalty."""


class FittedBaseline(NamedTuple):
    """A fitted simple model: coefficients `[outputs, F]` and intercepts `[outputs]` on standardized features, the
    penalty, and what else the kind needs (the baseline hazard of a Cox model)."""

    coefficients: Floats
    intercepts: Floats
    penalty: float
    extra: dict[str, Any]


def fit_logistic_baseline(
    x: Floats, classes: npt.NDArray[np.int64], count: int, subjects: Sequence[str]
) -> FittedBaseline:
    """Fit a multinomial logistic model with a cross-validated ridge penalty."""

    def fit(rows: RowIndices, penalty: float) -> LogisticFit:
        return fit_logistic(x[rows], classes[rows], count, penalty * len(rows))

    def loss(fitted: LogisticFit, rows: RowIndices, train: RowIndices) -> float:
        return measure_log_loss(fitted.log_probabilities(x[rows])[np.arange(len(rows)), classes[rows]])

    penalty = choose_penalty(subjects, classes.astype(np.float64), fit, loss)
    model = fit(np.arange(len(x)), penalty)
    return FittedBaseline(model.coefficients, model.intercepts, penalty, {})


def measure_log_loss(log_probabilities: Floats) -> float:
    """Compute −Σ log p of the true classes, with no p below `MIN_TRUE_PROBABILITY`."""
    return -float(np.maximum(log_probabilities, np.log(MIN_TRUE_PROBABILITY)).sum())


def fit_linear_baseline(x: Floats, values: Floats, subjects: Sequence[str]) -> FittedBaseline:
    """Fit a ridge regression; the intercept has no penalty."""

    def fit(rows: RowIndices, penalty: float) -> tuple[Floats, float]:
        own, y = x[rows], values[rows]
        middle, mean = own.mean(0), float(y.mean())
        centered = own - middle
        gram = centered.T @ centered + penalty * len(rows) * np.eye(own.shape[1])
        slopes = np.asarray(np.linalg.solve(gram, centered.T @ (y - mean)), np.float64)
        return slopes, mean - float(middle @ slopes)

    def loss(fitted: tuple[Floats, float], rows: RowIndices, train: RowIndices) -> float:
        return float(((values[rows] - x[rows] @ fitted[0] - fitted[1]) ** 2).sum())

    penalty = choose_penalty(subjects, values, fit, loss)
    slopes, intercept = fit(np.arange(len(x)), penalty)
    return FittedBaseline(slopes[None], np.array([intercept]), penalty, {})


def fit_cox_baseline(x: Floats, times: Floats, events: Floats, subjects: Sequence[str]) -> FittedBaseline:
    """Fit a Cox model with Breslow's baseline hazard. More columns than subjects are rotated to their principal axes
    first, which changes nothing under a ridge penalty but makes the fit small."""
    axes = np.linalg.svd(x, full_matrices=False)[2] if x.shape[1] > len(x) else np.eye(x.shape[1])
    z = x @ axes.T

    def fit(rows: RowIndices, penalty: float) -> Floats:
        own = float((events[rows] > 0).sum())
        return fit_cox(z[rows], times[rows], events[rows], penalty * max(1.0, own)).coefficients

    def loss(beta: Floats, rows: RowIndices, train: RowIndices) -> float:
        """Compute the cross-validated loss of Verweij and van Houwelingen (1993): the log partial likelihood of the
        training subjects minus that of training and left-out subjects together."""
        # A partial likelihood of few left-out subjects alone has tiny risk sets and says little.
        every = np.concatenate([train, rows])
        whole, part = (compute_cox_likelihood(z[r] @ beta, times[r], events[r]) for r in (every, train))
        return part - whole

    # This orders the censored subjects by time, then those with an event by time, so that every part gets some of both.
    penalty = choose_penalty(subjects, events + times / (times.max() + 1), fit, loss)
    beta = fit(np.arange(len(x)), penalty) @ axes
    hazard = estimate_breslow_hazard((x @ beta).tolist(), times.tolist(), events.tolist())
    baseline = {k: list(v) for k, v in hazard.items()}
    return FittedBaseline(beta[None], np.zeros(1), penalty, {"baseline": baseline})


def choose_penalty(
    subjects: Sequence[str],
    outcome: Floats,
    fit: Callable[[RowIndices, float], Any],
    loss: Callable[[Any, RowIndices, RowIndices], float],
) -> float:
    """Choose the penalty with the least loss in five-fold cross-validation over subjects, stratified by outcome."""
    names = list(dict.fromkeys(subjects))
    if len(names) < MIN_SUBJECTS_TO_TUNE:
        return DEFAULT_PENALTY
    # Reversed, so that the first item of a subject is the one that stays. All items of a subject go into one part.
    first = {s: outcome[k] for k, s in reversed(list(enumerate(subjects)))}
    order = sorted(names, key=lambda s: (first[s], s))
    part_of = {s: k % PENALTY_FOLDS for k, s in enumerate(order)}
    parts = np.array([part_of[s] for s in subjects])
    losses = []
    for penalty in CANDIDATE_PENALTIES:
        total = 0.0
        for part in range(PENALTY_FOLDS):
            train, left = np.flatnonzero(parts != part), np.flatnonzero(parts == part)
            total += loss(fit(train, penalty), left, train)
        losses.append(total)
    return CANDIDATE_PENALTIES[int(np.argmin(losses))]
