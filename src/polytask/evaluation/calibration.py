"""Reliability: how often what was given a probability of p happened."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

FEWEST = 5
"""Items a bin has at least where there are enough."""
MOST_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Items of like probability.

    Args:
        predicted: their mean probability. observed: the share in which it happened.
        low, high: 95 % Wilson interval of that share. n: how many.
    """

    predicted: float
    observed: float
    low: float
    high: float
    n: int


def reliability(p: npt.ArrayLike, happened: npt.ArrayLike) -> list[Bin]:
    """Bins with about equally many items, in order of probability; equal probabilities stay together."""
    probability, truth = np.asarray(p, np.float64), np.asarray(happened, bool)
    if not probability.size:
        return []
    count = int(np.clip(probability.size // FEWEST, 1, MOST_BINS))
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, count + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="left")
    found = []
    for k in np.unique(place):
        mine = place == k
        n, hits = int(mine.sum()), int(truth[mine].sum())
        low, high = wilson(hits, n)
        found.append(Bin(float(probability[mine].mean()), hits / n, low, high, n))
    return found


def calibration_error(bins: list[Bin]) -> float:
    """Expected calibration error: the mean gap between predicted and observed, weighted by n."""
    total = sum(b.n for b in bins)
    return sum(b.n * abs(b.predicted - b.observed) for b in bins) / total if total else float("nan")


def wilson(hits: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = hits / n, 1 + z**2 / n
    middle = (share + z**2 / (2 * n)) / scale
    half = z * float(np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))) / scale
    return max(0.0, middle - half), min(1.0, middle + half)
