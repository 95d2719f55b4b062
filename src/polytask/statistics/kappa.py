"""The interval of Cohen's κ with quadratic weights: one unseen case (`unseen_subject.py`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats
from polytask.statistics.unseen_subject import BOUNDED_LEVEL, UNSEEN_WEIGHT, draw_weights, find_interval_ends

WHOLE_UNSEEN_FACTOR = 1 / UNSEEN_WEIGHT
"""Factor that makes half an unseen case a whole one. The margins are resampled too, which moves κ more than the cases
alone do; with a whole unseen case the interval covers from 30 cases on."""


def make_quadratic_costs(classes: int) -> Floats:
    """Make the squared distances between classes, `[classes, classes]`."""
    place = np.arange(classes, dtype=np.float64)
    return np.asarray((place[:, None] - place[None, :]) ** 2, np.float64)


def find_kappa_influence(tables: Floats) -> Floats:
    """Compute how much each subject moves κ `[subjects]`, from its table `[subjects, classes, classes]` (truth,
    answer).

    This is the derivative of κ = 1 − observed/chance by the weight of a subject; they sum to 0.
    """
    n = tables.sum()
    cost = make_quadratic_costs(tables.shape[1])
    truth, answer = tables.sum(2), tables.sum(1)
    rows, columns = truth.sum(0) / n, answer.sum(0) / n
    count, wrong = tables.sum((1, 2)), (tables * cost).sum((1, 2))
    observed, chance = float(wrong.sum() / n), float(rows @ cost @ columns)
    from_observed = (wrong - observed * count) / n
    from_chance = (truth @ cost @ columns + answer @ (rows @ cost) - 2 * chance * count) / n
    return np.asarray(observed / chance**2 * from_chance - from_observed / chance, np.float64)


def find_kappa_interval(
    tables: npt.ArrayLike, level: float = BOUNDED_LEVEL, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Find the interval of κ with quadratic weights.

    For the lower end the unseen case costs twice what chance costs (alone it would have κ = −1), for the upper end
    nothing. Its truth and answer are as common as the classes are.

    Args:
        tables: `[subjects, classes, classes]`, how often the subject has this truth (row) and this answer (column).
    """
    t = np.asarray(tables, np.float64)
    t = t[t.sum((1, 2)) > 0]
    if len(t) < 2:
        return NAN, NAN
    cost = make_quadratic_costs(t.shape[1])
    truth, answer, wrong = t.sum(2), t.sum(1), (t * cost).sum((1, 2))
    n = float(t.sum())
    rows, columns = truth.sum(0) / n, answer.sum(0) / n
    worst = 2 * float(rows @ cost @ columns)
    lower, upper = [], []
    for weights, unseen in draw_weights(len(t), resamples, seed, weight_factor=WHOLE_UNSEEN_FACTOR):
        extra = unseen[:, 0] * n / len(t)
        total = weights @ t.sum((1, 2)) + extra
        r = (weights @ truth + extra[:, None] * rows) / total[:, None]
        c = (weights @ answer + extra[:, None] * columns) / total[:, None]
        chance = ((r @ cost) * c).sum(1)
        seen = weights @ wrong
        chance = np.where(chance > 0, chance, np.nan)
        lower.append(1 - (seen + extra * worst) / total / chance)
        upper.append(1 - seen / total / chance)
    low, high = find_interval_ends(np.concatenate(lower), np.concatenate(upper), level)
    return max(-1.0, low), min(1.0, high)
