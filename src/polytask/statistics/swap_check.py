"""Permutation test for metrics that a single case does not have (C, κ, an AUC, R²).

The answers of the two arms are exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.statistics.cross_check import CrossCheck

SWAP_CHECK_NAME = "swaps"


@dataclass(frozen=True)
class ExchangeFold:
    """A fold with the answers of two arms, for exchanging them.

    Args:
        difference: whose answers are exchanged `[subjects]` → arm − baseline, mean over seeds, better = positive.
        subjects: how many. cases: the weight of the fold.
    """

    difference: Callable[[npt.NDArray[np.bool_]], float]
    subjects: int
    cases: int


def compare_by_swaps(folds: Sequence[ExchangeFold], resamples: int = 499, seed: int = 0) -> CrossCheck:
    """Test whether it matters which of the two arms gave which answer (Bandos et al. 2005 for AUCs).

    If the arms were alike, each subject's answers might as well be those of the other arm. In each of `resamples` a
    coin decides for every subject whether its answers change sides, in all seeds at once; p = (1 + as extreme)/(1 +
    resamples). A resample without a metric counts as extreme. The trainings are held fixed.
    """
    if not folds:
        return CrossCheck(SWAP_CHECK_NAME, float("nan"), float("nan"), float("nan"), 0)
    draws, cases = np.random.default_rng(seed), np.array([f.cases for f in folds], np.float64)

    def measure_difference(swapped: Sequence[npt.NDArray[np.bool_]]) -> float:
        return float(
            np.average([f.difference(s) for f, s in zip(folds, swapped, strict=True)], weights=cases)
        )

    observed = measure_difference([np.zeros(f.subjects, bool) for f in folds])
    if not np.isfinite(observed):
        return CrossCheck(SWAP_CHECK_NAME, float("nan"), float("nan"), float("nan"), 0)
    others = [measure_difference([draws.random(f.subjects) < 0.5 for f in folds]) for _ in range(resamples)]
    # `not <` instead of `>=`: a NaN counts as extreme. The factor makes sums equal that differ by rounding.
    extreme = sum(not abs(x) < abs(observed) * (1 - 1e-9) for x in others)
    return CrossCheck(SWAP_CHECK_NAME, observed, observed, (1 + extreme) / (1 + resamples), int(cases.sum()))
