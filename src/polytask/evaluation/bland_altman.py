"""Bland–Altman analysis: how far two measurements of the same thing lie apart."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Standard deviations on each side of the mean that hold 95 % of a normal distribution.
LIMITS_Z = 1.96


class LimitsOfAgreement(NamedTuple):
    """Mean difference and the limits between which 95 % of differences lie when they are normal.

    Args:
        bias: mean of predicted − true. low, high: bias ∓ 1.96 standard deviations; NaN with fewer than two items. n:
            number of items.
    """

    bias: float
    low: float
    high: float
    n: int


def compute_limits_of_agreement(predicted: npt.ArrayLike, true: npt.ArrayLike) -> LimitsOfAgreement:
    """Compute the mean difference of two measurements of the same items, and its limits of agreement."""
    difference = np.asarray(predicted, np.float64) - np.asarray(true, np.float64)
    nan = float("nan")
    if not difference.size:
        return LimitsOfAgreement(nan, nan, nan, 0)
    bias = float(difference.mean())
    if difference.size < 2:
        return LimitsOfAgreement(bias, nan, nan, 1)
    half = LIMITS_Z * float(difference.std(ddof=1))
    return LimitsOfAgreement(bias, bias - half, bias + half, int(difference.size))
