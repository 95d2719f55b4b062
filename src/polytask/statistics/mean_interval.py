"""A mean over cases, or a difference of two, with interval and p.

The method is that of a study, for one set of subjects.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN
from polytask.errors import PolytaskError
from polytask.statistics.pivot import make_pivot
from polytask.statistics.resample_counts import BOOTSTRAP_RESAMPLES
from polytask.statistics.studentize import studentize


class MeanInterval(NamedTuple):
    """A mean with its interval and p.

    Args:
        estimate: Σ sums ÷ Σ counts; NaN without cases.
        low, high: NaN with fewer than two subjects; both the estimate where all subjects are alike.
        p: two-sided, against 0; 1 where nothing differs from 0, NaN without an interval.
    """

    estimate: float
    low: float
    high: float
    p: float


def find_mean_interval(
    sums: npt.ArrayLike,
    counts: npt.ArrayLike | None = None,
    level: float = 0.95,
    resamples: int = BOOTSTRAP_RESAMPLES,
    seed: int = 0,
) -> MeanInterval:
    """Find interval and p of Σ sums ÷ Σ counts over subjects: bootstrap-t, on no side narrower than Student's t.

    Every subject contributes `sums` over its `counts` cases: values of one run (Dice of its lesions), or differences of
    two runs on the same cases, so that the comparison is paired. Subjects are drawn, not cases. A subject contributes v
    = m + (sum − m·count)/mean count to the mean, which for one case each is its value. The standard error is that of
    the mean of the v. How many standard errors an interval reaches to each side, and which p belongs to 0, comes from
    `pivot.make_pivot` of their studentized bootstrap. The interval excludes 0 exactly when p ≤ 1 − level. It follows
    the skew of what was seen; it does not contain a failure that no subject of the sample shows.

    A study's effect is the same with several folds and trainings (`effect.compare_arms`).

    Args:
        sums, counts: `[subjects]`; subjects without a case have count 0 (their sum is ignored). By default one each.
            Influence values or jackknife pseudo-values of any metric are `sums` with one count each.
        level: of the interval, 0.95 or what `holm` asks for.
        seed: the same arguments give the same answer; the order of subjects does not matter.
    """
    s = np.asarray(sums, np.float64)
    c = np.ones_like(s) if counts is None else np.asarray(counts, np.float64)
    if s.ndim != 1 or s.shape != c.shape or (c < 0).any() or not np.isfinite(s[c > 0]).all():
        raise PolytaskError(
            f"mean over subjects: sums {s.shape} and counts {c.shape}; give finite sums and counts of at least 0, one "
            "of each for every subject"
        )
    s, c = s[c > 0], c[c > 0]
    n = len(s)
    if not n:
        return MeanInterval(NAN, NAN, NAN, NAN)
    estimate = float(s.sum() / c.sum())
    if n < 2:
        return MeanInterval(estimate, NAN, NAN, NAN)
    values = estimate + (s - estimate * c) / c.mean()
    error = float(values.std(ddof=1) / np.sqrt(n))
    # Equal values leave an error of rounding: divided by it, everything would lie infinitely far away.
    if error <= 1e-12 * np.abs(values).max():
        return MeanInterval(estimate, estimate, estimate, 1.0 if not values.any() else NAN)
    sign = 1.0 if estimate >= 0 else -1.0
    pivot = make_pivot(studentize([sign * values], [1.0], resamples, seed), n - 1)
    below, above = (float(x) * error for x in pivot.ends(level))
    ends = (estimate - below, estimate + above) if sign > 0 else (estimate - above, estimate + below)
    return MeanInterval(estimate, *ends, float(pivot.p(abs(estimate) / error)))
