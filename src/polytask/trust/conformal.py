"""Ranks of conformal prediction: how strange an answer is among the answers of people whose truth is known.

An answer has a score, which is higher the less it fits. Of n scores of known answers and the score of the true answer
of a new case each order is equally likely, if the new case comes from the same population. So the true answer is kept
with a probability of at least 1 − α when an answer is kept whose rank says p > α.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np

from polytask.array_types import Floats

ROUNDING = 1e-9
"""(n + 1)(1 − α) is a whole number for many n and α, but its product in floating point may lie just above it."""


def find_smallest_count(alpha: float) -> int:
    """Find how many known answers are needed so that a set at `alpha` can leave anything out: 9 for α = 0.1."""
    return ceil(1 / alpha - ROUNDING) - 1


def find_score_rank(count: int, alpha: float) -> int:
    """Find k = ⌈(n + 1)(1 − α)⌉: the k-th smallest of n scores bounds a new one with the probability 1 − α."""
    return ceil((count + 1) * (1 - alpha) - ROUNDING)


def compute_rank_p_values(candidates: Sequence[Floats], known: Sequence[Floats]) -> Floats:
    """Compute the p-value of candidate answers: the share of known scores that are at least as strange.

    With one member this is split conformal prediction: p > α keeps an answer whose score is at most the known one with
    the rank `find_score_rank`. With several, every member compares the score that it gives with the scores of the
    subjects that it was not trained on, and the ranks are summed (cross-conformal prediction, Vovk 2015). What is then
    promised says `find_worst_case_coverage`; about 1 − α is seen.

    Args:
        candidates: of each member the scores `[…]` that it gives to the candidates.
        known: of each member the scores `[n]` of known answers, sorted or not.
    """
    count = sum(len(own) for own in known)
    # `left` counts those below, so that equal scores count as at least as strange.
    above = [
        len(own) - np.searchsorted(np.sort(own), scores, side="left")
        for scores, own in zip(candidates, known, strict=True)
    ]
    return np.asarray((1 + np.sum(above, axis=0)) / (1 + count), dtype=np.float64)


def find_worst_case_coverage(counts: Sequence[int], alpha: float) -> float:
    """Find the coverage that sets of K members (`counts[k]` scores each) are proved to have at least; one: 1 − α.

    Barber, Candès, Ramdas and Tibshirani (2021), Theorem 4, for folds of equal size: 1 − 2α − the smaller of
    2(1 − 1/K) / (n/K + 1) and (1 − K/n) / (K + 1).
    """
    folds, count = len(counts), sum(counts)
    if folds < 2 or not count:
        return 1 - alpha
    excess = min(2 * (1 - 1 / folds) / (count / folds + 1), (1 - folds / count) / (folds + 1))
    return max(0.0, 1 - 2 * alpha - max(excess, 0.0))
