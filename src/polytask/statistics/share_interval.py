"""Intervals of shares: Wilson's, with as many cases as the visits of the subjects are worth."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

SHARE_LEVEL = 0.95
PRIOR_SUBJECTS = 6
"""The assumption that all visits of a subject give the same answer counts as much as so many subjects of the sample."""


def compute_wilson_interval(hits: float, n: float, level: float = SHARE_LEVEL) -> tuple[float, float]:
    """Compute Wilson's score interval of a share (1927); `hits` and `n` need not be whole numbers."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = hits / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    half = z * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / scale
    return max(0.0, middle - half), min(1.0, middle + half)


def count_independent_cases(hits: npt.ArrayLike, counts: npt.ArrayLike) -> float:
    """Count how many independent cases the cases of these subjects are worth (effective sample size).

    n cases of N subjects have the variance of n/d independent ones. The design effect d is the variance between
    subjects, N/(N − 1) Σ (hits − share · counts)² / n², divided by that of independent cases, share (1 − share)/n (Rao
    and Scott 1992). Few subjects give a poor estimate of d, and all right or all wrong give none. So the estimate is
    averaged with n/N, which means that all visits of a subject agree. The result is never more than n, and n itself
    with one case per subject.

    Args:
        hits, counts: `[subjects]`; subjects without a case have count 0.
    """
    c = np.asarray(counts, np.float64)
    h, c = np.asarray(hits, np.float64)[c > 0], c[c > 0]
    n, subjects = float(c.sum()), len(c)
    if n == subjects or not subjects:
        return n
    agreeing = n / subjects
    share = float(h.sum() / n)
    if subjects < 2 or not 0 < share < 1:
        return n / agreeing
    between = subjects / (subjects - 1) * float(((h - share * c) ** 2).sum()) / n**2
    seen = between / (share * (1 - share) / n)
    effect = ((subjects - 1) * seen + PRIOR_SUBJECTS * agreeing) / (subjects - 1 + PRIOR_SUBJECTS)
    return n / max(1.0, effect)


def find_share_interval(
    hits: npt.ArrayLike, counts: npt.ArrayLike, level: float = SHARE_LEVEL
) -> tuple[float, float]:
    """Find the interval of Σ hits ÷ Σ counts over subjects; NaN without cases."""
    total = float(np.sum(np.asarray(counts, np.float64)))
    if not total:
        return float("nan"), float("nan")
    n = count_independent_cases(hits, counts)
    return compute_wilson_interval(float(np.sum(np.asarray(hits, np.float64))) / total * n, n, level)
