"""Cross-checks on differences of single cases, for metrics that a case has by itself (Dice, an absolute error)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from polytask.statistics.check import Check
from polytask.statistics.draws import Floats, Indices

LARGEST_EXACT = 16
"""Up to so many differences, all their signs are gone through (65,536)."""


def wilcoxon(differences: npt.ArrayLike) -> Check:
    """Wilcoxon's signed rank test on one difference per subject (mean over seeds and visits); zeros are left out.

    It asks whether the differences lie symmetrically around 0: about their (pseudo)median. Where few lose much and many
    gain little it says better although the mean is 0.
    """
    d = finite(differences)
    if not d.any():
        return nothing("Wilcoxon signed rank", d)
    found = stats.wilcoxon(d[d != 0])
    return Check(
        "Wilcoxon signed rank", float(np.median(d)), float(found.statistic), float(found.pvalue), len(d)
    )


def sign_flips(differences: npt.ArrayLike, resamples: int = 10_000, seed: int = 0) -> Check:
    """Permutation test of the mean difference: were the arms alike, each subject's sign could as well be the other.

    So it takes the differences to be symmetric around 0 under no effect; with skewed ones it errs as Student's t does.

    All signs are gone through when they are few; otherwise `resamples` random ones and the observed, p = (1 + as
    extreme)/(1 + resamples).
    """
    d = finite(differences)
    if not d.any():
        return nothing("sign flips", d)
    moving = d[d != 0]
    n = len(moving)
    observed = abs(moving.sum())
    if n <= LARGEST_EXACT:
        codes = np.arange(2**n, dtype=np.int64)[:, None] >> np.arange(n)
        p = as_extreme(moving, codes & 1, observed) / 2**n
    else:
        turned = np.random.default_rng(seed).integers(0, 2, (resamples, n))
        p = (1 + as_extreme(moving, turned, observed)) / (1 + resamples)
    return Check("sign flips", float(d.mean()), float(d.mean()), float(p), len(d))


def as_extreme(differences: Floats, turned: Indices, observed: float) -> int:
    """How many sums with the signs `turned [ways, n]` are as far from 0; sums that differ by rounding are equal."""
    sums = (1.0 - 2.0 * turned) @ differences
    return int((np.abs(sums) >= observed * (1 - 1e-12)).sum())


def finite(differences: npt.ArrayLike) -> Floats:
    """Those that are defined."""
    d = np.asarray(differences, np.float64)
    return d[np.isfinite(d)]


def nothing(name: str, differences: Floats) -> Check:
    """No difference at all, or nobody to compare."""
    if not len(differences):
        return Check(name, float("nan"), float("nan"), float("nan"), 0)
    return Check(name, 0.0, 0.0, 1.0, len(differences))
