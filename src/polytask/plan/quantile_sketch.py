"""Summaries of many numbers that can be pooled over cases; the fingerprint stores intensities and doses this way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from polytask.array_types import Floats
from polytask.kinds.plan_reasons import round_number

QUANTILE_COUNT = 501
"""Number of quantiles in every summary: 0, 0.002, …, 1."""
MAX_SORTED_VALUES = 500_000
"""Quantiles of more values than this are taken from every n-th value; mean, variance and range use all values."""


class ValueSummary(BaseModel):
    """Count, mean, variance, range and equally spaced quantiles of a set of numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n: int
    mean: float
    variance: float
    low: float
    high: float
    quantiles: list[float]


def summarize_values(values: npt.NDArray[np.generic]) -> ValueSummary | None:
    """Summarize the finite values of an array of any shape; None when there is none."""
    flat = np.asarray(values).reshape(-1)
    if not np.issubdtype(flat.dtype, np.integer):
        flat = flat[np.isfinite(flat)]
    if flat.size == 0:
        return None
    ordered = np.sort(flat[:: _choose_prime_stride(flat.size)]).astype(np.float64)
    points = np.interp(np.linspace(0, ordered.size - 1, QUANTILE_COUNT), np.arange(ordered.size), ordered)
    # The thinned values may miss the extremes; the range must be exact.
    points[0], points[-1] = float(flat.min()), float(flat.max())
    return ValueSummary(
        n=int(flat.size),
        mean=round_number(float(flat.mean(dtype=np.float64))),
        variance=round_number(float(flat.var(dtype=np.float64))),
        low=round_number(float(points[0])),
        high=round_number(float(points[-1])),
        quantiles=[round_number(float(v)) for v in points],
    )


def _choose_prime_stride(size: int) -> int:
    """Choose n so that every n-th value is kept. n is a prime: a number that shares a factor with the length of an
    image row would hit the same columns again and again."""
    step = -(-size // MAX_SORTED_VALUES)
    while step > 1 and any(step % d == 0 for d in range(2, int(step**0.5) + 1)):
        step += 1
    return step


class SummaryPool:
    """Several summaries taken together. Every case has the same weight, however large its image is."""

    def __init__(self, parts: Sequence[ValueSummary]):
        self.n = sum(p.n for p in parts)
        self.cases = len(parts)
        self.mean = float(np.mean([p.mean for p in parts])) if parts else 0.0
        # Variance of the mixture: the mean of E[x²] over cases, minus the square of the common mean.
        spread = np.mean([p.variance + p.mean**2 for p in parts]) - self.mean**2 if parts else 1.0
        self.sd = float(np.sqrt(max(float(spread), 0.0)))
        # Between two neighboring quantiles lies the same share of the values, so the middles of these intervals stand
        # for equally likely numbers, and those of several cases can be sorted together.
        edges = np.array([p.quantiles for p in parts], dtype=np.float64).reshape(-1, QUANTILE_COUNT)
        self.points: Floats = np.sort(((edges[:, 1:] + edges[:, :-1]) / 2).reshape(-1))

    def quantile(self, q: float) -> float:
        """Return the value below which the share `q` of all values lies."""
        return float(np.quantile(self.points, q)) if self.points.size else 0.0

    def deviation(self) -> float:
        """Return the mean distance from the median, which is the error of the best constant answer."""
        return float(np.abs(self.points - self.quantile(0.5)).mean()) if self.points.size else 0.0
