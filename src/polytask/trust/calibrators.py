"""Calibrators: few numbers, fitted on held-out answers, that turn probabilities into ones that come true.

Each keeps the order of the answers of a class (or nearly: classes compete), so that metrics of ranking hardly change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from polytask.array_types import Floats, Mask

SMALLEST_SHARE = 1e-6
"""Probabilities are kept this far from 0 and 1, so that no logarithm is infinite."""
LARGEST_LOG_SLOPE = 4.0
"""A slope lies between e⁻⁴ and e⁴: with few answers, separated by chance, it would grow without limit."""
PRIOR_WEIGHT = 0.5
"""Weight of a normal prior with standard deviation 1 on the logarithm of a slope and on a shift: half an answer's worth
keeps a fit on a handful of answers near to doing nothing."""

Calibrate = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Calibrator:
    """A calibrator with the numbers that were fitted.

    Args:
        name: key of `CALIBRATORS`.
        numbers: what was fitted: (shift, logarithm of the slope), for labels once for each.
    """

    name: str
    numbers: tuple[tuple[float, float], ...]

    def apply(self, p: Floats) -> Floats:
        """Calibrate the probabilities `[N, C]` of N answers."""
        return CALIBRATORS[self.name](p, np.array(self.numbers))


def scale_temperature(p: Floats, numbers: Floats) -> Floats:
    """Divide the logarithms of class probabilities `[N, C]` by a temperature: `numbers[0, 1]` is −log T; no shift."""
    logits = np.log(np.clip(p, SMALLEST_SHARE, None)) * np.exp(numbers[0, 1])
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def move_cut_points(p: Floats, numbers: Floats) -> Floats:
    """Shift and stretch the logits of passing each cut-point of grades `[N, K]`; every cut-point moves alike, so that
    probabilities stay above 0."""
    above = 1 - np.cumsum(p, 1)[:, :-1]
    passed = _squash(numbers[0, 0] + np.exp(numbers[0, 1]) * _find_logit(above))
    ends = np.concatenate([np.ones((len(p), 1)), passed, np.zeros((len(p), 1))], 1)
    return np.asarray(np.maximum(ends[:, :-1] - ends[:, 1:], 0.0))


def move_labels(p: Floats, numbers: Floats) -> Floats:
    """Shift and stretch the logit of every label of `[N, L]` by its own two numbers (Platt)."""
    return _squash(numbers[:, 0] + np.exp(numbers[:, 1]) * _find_logit(p))


CALIBRATORS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "temperature": scale_temperature,
    "cut_points": move_cut_points,
    "labels": move_labels,
}
"""Name → function that calibrates probabilities with the fitted numbers."""


def fit_calibrator(name: str, p: Floats, truth: Floats, known: Mask) -> Calibrator:
    """Fit the numbers of a calibrator: they make the known answers most likely, with a weak prior on doing nothing.

    Args:
        name: key of `CALIBRATORS`.
        p: `[N, C]`. truth: `[N]` classes or `[N, L]` labels. known: `[N]` or `[N, L]`.
    """
    rows = p.shape[1] if name == "labels" else 1
    numbers = np.zeros((rows, 2))
    for row in range(rows):
        own = slice(row, row + 1) if name == "labels" else slice(None)
        seen = known[:, row] if name == "labels" else known
        answers, true = p[seen, own], (truth[seen, own] if name == "labels" else truth[seen])

        def measure_misfit(x: Floats, answers: Floats = answers, true: Floats = true) -> float:
            numbers = np.array([[x[0], x[1]]])
            misfit = float(measure_log_loss(CALIBRATORS[name](answers, numbers), true).sum())
            return misfit + PRIOR_WEIGHT * float(x @ x) / 2

        if len(answers):
            limit = (-LARGEST_LOG_SLOPE, LARGEST_LOG_SLOPE)
            numbers[row] = minimize(measure_misfit, np.zeros(2), method="L-BFGS-B", bounds=(limit, limit)).x
    if name == "temperature":
        numbers[:, 0] = 0.0
    return Calibrator(name, tuple((float(a), float(b)) for a, b in numbers))


def measure_log_loss(p: Floats, truth: Floats) -> Floats:
    """Compute minus the logarithm of what was given to the truth: `[N, C]` and classes `[N]` → `[N]`; `[N, L]` and
    yes/no `[N, L]` → `[N]`, the mean over labels."""
    if np.ndim(truth) == 2:
        q = np.clip(p, SMALLEST_SHARE, 1 - SMALLEST_SHARE)
        return np.asarray(-(truth * np.log(q) + (1 - truth) * np.log(1 - q)).mean(1))
    own = p[np.arange(len(p)), np.asarray(truth, dtype=np.int64)]
    return np.asarray(-np.log(np.clip(own, SMALLEST_SHARE, None)))


def _find_logit(p: Floats) -> Floats:
    q = np.clip(p, SMALLEST_SHARE, 1 - SMALLEST_SHARE)
    return np.asarray(np.log(q) - np.log1p(-q))


def _squash(logits: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logits)))
