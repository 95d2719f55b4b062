"""DeLong's test: a cross-check for differences of binary AUCs, from ranks instead of resamples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from polytask.array_types import Floats
from polytask.errors import PolytaskError
from polytask.statistics.cross_check import CrossCheck


@dataclass(frozen=True)
class ScoredFold:
    """The cases of a fold, scored by two arms.

    Args:
        truth: `[cases]`, whether positive.
        arm, baseline: scores `[seeds, cases]`.
    """

    truth: npt.NDArray[np.bool_]
    arm: Floats
    baseline: Floats


def auc_covariance(truth: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Compute the AUCs of `scores [k, cases]` on the same cases, and their covariance `[k, k]`.

    DeLong, DeLong and Clarke-Pearson 1988 with mid-ranks (Sun and Xu 2014). With m positives and n negatives, V10 of a
    positive is the share of negatives it exceeds, V01 of a negative the share of positives that exceed it, ties half.
    From the mid-ranks T among all cases and T± within the class, V10 = (T − T₊)/n and V01 = 1 − (T − T₋)/m. The
    covariance is cov(V10)/m + cov(V01)/n, NaN with fewer than two of a class.
    """
    y, s = np.asarray(truth, bool), np.atleast_2d(np.asarray(scores, np.float64))
    if s.shape[1:] != y.shape or not np.isfinite(s).all():
        raise PolytaskError(
            f"DeLong: scores {s.shape} for {y.shape[0]} cases; give finite scores [arms, cases] of the same cases"
        )
    m, n = int(y.sum()), int((~y).sum())
    k = len(s)
    if not m or not n:
        return np.full(k, np.nan), np.full((k, k), np.nan)
    every = stats.rankdata(s, axis=1)
    v10 = (every[:, y] - stats.rankdata(s[:, y], axis=1)) / n
    v01 = 1 - (every[:, ~y] - stats.rankdata(s[:, ~y], axis=1)) / m
    if min(m, n) < 2:
        return v10.mean(1), np.full((k, k), np.nan)
    return v10.mean(1), np.atleast_2d(np.cov(v10)) / m + np.atleast_2d(np.cov(v01)) / n


def compare_by_delong(folds: Sequence[ScoredFold]) -> CrossCheck:
    """Compare AUCs as the effect does: within a fold and a seed, averaged, with the cases as weights of the folds.

    The variance holds the trainings fixed (there is no seed part), and cases count as independent: with several visits
    of a subject it is too small. Folds without two cases of each class are left out.
    """
    total, variance, n = 0.0, 0.0, 0
    for f in folds:
        aucs, covariance = auc_covariance(f.truth, np.concatenate([f.arm, f.baseline]))
        if not np.isfinite(covariance).all():
            continue
        contrast = np.repeat([1 / len(f.arm), -1 / len(f.baseline)], [len(f.arm), len(f.baseline)])
        cases = len(f.truth)
        total += cases * float(contrast @ aucs)
        variance += cases**2 * float(contrast @ covariance @ contrast)
        n += cases
    if not n:
        return CrossCheck("DeLong", float("nan"), float("nan"), float("nan"), 0)
    estimate, error = total / n, np.sqrt(max(0.0, variance)) / n
    if error < 1e-12:
        return CrossCheck("DeLong", estimate, 0.0, 1.0 if abs(estimate) < 1e-12 else float("nan"), n)
    z = float(estimate / error)
    return CrossCheck("DeLong", estimate, z, float(2 * stats.norm.sf(abs(z))), n)
