"""Harrell's C, AUC, κ and R² without each of several groups of items, at the cost of one pass over the items.

They are functions of sums over items or over pairs of items. What a group adds is counted once and subtracted; to judge
the rest again for each group would cost groups × items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN, Floats, Indices
from polytask.statistics.comparable_pairs import count_pairs

Flags = npt.NDArray[np.bool_]
MIN_REMAINING_SHARE = 1e-6
"""Where no more than this share of a sum of squares remains, subtracting the group leaves too few digits."""


def find_concordance_without(
    risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike, group: Indices, groups: int
) -> Floats:
    """Compute Harrell's C without each group `[groups]`; NaN where no comparable pair remains.

    A group takes away the pairs of its items. Pairs within the group, which both of their items count, are taken only
    once.

    Args:
        risk, times, events: `[items]`. group: `[items]`, 0 … groups − 1.
    """
    every, inside = (count_pairs(risk, times, events, among) for among in (None, group))

    def take_off(early: Floats, late: Floats, early_inside: Floats) -> Floats:
        of_group = np.bincount(group, early + late - early_inside, minlength=groups)
        return np.asarray(early.sum() - of_group, np.float64)

    pairs = take_off(every.early, every.late, inside.early)
    right = take_off(every.early_right, every.late_right, inside.early_right)
    return np.where(pairs > 0, right / np.where(pairs > 0, pairs, 1.0), NAN)


def find_area_without(scores: npt.ArrayLike, positive: Flags, group: Indices, groups: int) -> Floats:
    """Compute the area under the ROC curve without each group `[groups]`; NaN where one class is missing.

    It is C of positives, who have the event first, and negatives, who are still under observation afterwards.
    """
    return find_concordance_without(scores, np.where(positive, 0.0, 1.0), positive, group, groups)


def find_kappa_without(truth: Indices, answer: Indices, group: Indices, groups: int) -> Floats:
    """Compute quadratic κ without each group `[groups]`; NaN where only one true class remains.

    κ is 1 − Σ(t − a)² ÷ (Σt² + Σa² − 2 Σt Σa / n). All sums are whole numbers, so that no digit is lost.
    """
    n, t, a = (_sum_without(v, group, groups) for v in (np.ones(len(truth)), truth, answer))
    chance = _sum_without(truth**2 + answer**2, group, groups) - 2 * t * a / np.maximum(n, 1)
    classes = np.zeros(groups)
    for k in np.unique(truth):
        classes += _sum_without(truth == k, group, groups) > 0
    wrong, defined = _sum_without((truth - answer) ** 2, group, groups), classes > 1
    return np.where(defined, 1 - wrong / np.where(defined, chance, 1.0), NAN)


def find_r2_without(
    truth: Floats, answer: Floats, group: Indices, groups: int, judge: Callable[[Flags], float]
) -> Floats:
    """Compute R² without each group `[groups]`: 1 − Σ(t − a)² ÷ (Σ(t − m)² − (Σ(t − m))²/n), with m the mean of all.

    Args:
        truth, answer: `[items]`. group: `[items]`, 0 … groups − 1.
        judge: R² of some of the items, asked where nearly all that varies or is wrong lies in the group.
    """
    if not truth.size:
        return np.full(groups, NAN)
    apart, error = truth - truth.mean(), (answer - truth) ** 2
    n, wrong = _sum_without(np.ones(truth.size), group, groups), _sum_without(error, group, groups)
    spread = _sum_without(apart**2, group, groups)
    spread -= _sum_without(apart, group, groups) ** 2 / np.maximum(n, 1)
    least = max(float((apart**2).sum()), float(np.finfo(np.float64).eps * (truth**2).sum()))
    safe = spread > MIN_REMAINING_SHARE * least
    safe &= np.maximum(spread, wrong) > MIN_REMAINING_SHARE * float(error.sum())
    r2 = np.where(safe, 1 - wrong / np.where(safe, spread, 1.0), NAN)
    for g in np.flatnonzero(~safe):
        r2[g] = judge(group != g)
    return r2


def _sum_without(values: npt.NDArray[Any], group: Indices, groups: int) -> Floats:
    of_group = np.bincount(group, np.asarray(values, np.float64), minlength=groups)
    return np.asarray(of_group.sum() - of_group, np.float64)
