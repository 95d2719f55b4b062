"""Cross-checks on differences of single cases, for metrics that each case has by itself (Dice, an absolute error)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from polytask.array_types import Floats, Indices
from polytask.statistics.cross_check import CrossCheck

MAX_EXACT_DIFFERENCES = 16
"""All combinations of signs (65,536) are tried for no more differences than this."""


def wilcoxon(differences: npt.ArrayLike) -> CrossCheck:
    """Wilcoxon's signed rank test on one difference per subject (mean over seeds and visits); zeros are left out.

    It asks whether the differences lie symmetrically around 0, so about their (pseudo)median. Where few subjects lose
    much and many gain little, it says better although the mean is 0.
    """
    d = drop_undefined(differences)
    if not d.any():
        return make_trivial_check("Wilcoxon signed rank", d)
    result = stats.wilcoxon(d[d != 0])
    return CrossCheck(
        "Wilcoxon signed rank", float(np.median(d)), float(result.statistic), float(result.pvalue), len(d)
    )


def flip_signs(differences: npt.ArrayLike, resamples: int = 10_000, seed: int = 0) -> CrossCheck:
    """Permutation test of the mean difference: if the arms were alike, each subject's sign might as well be the other.

    So it assumes that the differences are symmetric around 0 when there is no effect; with skewed ones it errs as
    Student's t does. All combinations of signs are tried when they are few. Otherwise `resamples` random ones and the
    observed one count, p = (1 + as extreme)/(1 + resamples).
    """
    d = drop_undefined(differences)
    if not d.any():
        return make_trivial_check("sign flips", d)
    moving = d[d != 0]
    n = len(moving)
    observed = abs(moving.sum())
    if n <= MAX_EXACT_DIFFERENCES:
        codes = np.arange(2**n, dtype=np.int64)[:, None] >> np.arange(n)
        p = count_as_extreme(moving, codes & 1, observed) / 2**n
    else:
        turned = np.random.default_rng(seed).integers(0, 2, (resamples, n))
        p = (1 + count_as_extreme(moving, turned, observed)) / (1 + resamples)
    return CrossCheck("sign flips", float(d.mean()), float(d.mean()), float(p), len(d))


def count_as_extreme(differences: Floats, turned: Indices, observed: float) -> int:
    """Count the sums with the signs `turned [ways, n]` that are as far from 0; sums that
    differ by rounding are equal."""
    sums = (1.0 - 2.0 * turned) @ differences
    return int((np.abs(sums) >= observed * (1 - 1e-12)).sum())


def drop_undefined(differences: npt.ArrayLike) -> Floats:
    """Return only those differences that are defined."""
    d = np.asarray(differences, np.float64)
    return d[np.isfinite(d)]


def make_trivial_check(name: str, differences: Floats) -> CrossCheck:
    """Make the result for no difference at all, or for nobody to compare."""
    if not len(differences):
        return CrossCheck(name, float("nan"), float("nan"), float("nan"), 0)
    return CrossCheck(name, 0.0, 0.0, 1.0, len(differences))
