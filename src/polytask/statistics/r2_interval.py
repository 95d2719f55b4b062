"""The interval of R², with half an unseen subject (`unseen_subject.py`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN
from polytask.statistics.unseen_subject import BOUNDED_LEVEL, draw_weights, find_interval_ends

UNSEEN_SQUARE_FACTOR = 2.0
"""The square of an unseen error may be twice the largest one. With 60 subjects and errors of three degrees of freedom
the interval then covers 94 % instead of 84 %."""


def find_r2_interval(
    squares: npt.ArrayLike,
    truth: npt.ArrayLike,
    subjects: npt.ArrayLike,
    level: float = BOUNDED_LEVEL,
    resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Find the interval of 1 − Σ squares ÷ Σ (truth − mean)².

    The unseen subject is answered right for the upper end, and with twice the largest squared error for the lower end.
    Its truth varies as that of the others does.

    Args:
        squares: squared errors `[items]`. subjects: `[items]`, which subject an item belongs to.
    """
    e, y = np.asarray(squares, np.float64), np.asarray(truth, np.float64)
    owner = np.unique(np.asarray(subjects), return_inverse=True)[1]
    count = np.bincount(owner).astype(np.float64)
    if count.size < 2:
        return NAN, NAN
    # R² does not change, and the difference of squares below then loses no digits to a large mean.
    y = y - y.mean()
    first, second, wrong = (np.bincount(owner, v) for v in (y, y**2, e))
    lower, upper = [], []
    for weights, unseen in draw_weights(count.size, resamples, seed):
        extra = unseen[:, 0] * count.mean()
        spread = weights @ second - (weights @ first) ** 2 / (weights @ count) + extra * float((y**2).mean())
        spread = np.where(spread > 0, spread, np.nan)
        lower.append(1 - (weights @ wrong + extra * UNSEEN_SQUARE_FACTOR * float(e.max())) / spread)
        upper.append(1 - weights @ wrong / spread)
    return find_interval_ends(np.concatenate(lower), np.concatenate(upper), level)
