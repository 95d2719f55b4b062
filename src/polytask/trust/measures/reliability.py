"""Whether probabilities come true, bin by bin, and what the Brier score is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.array_types import Floats

BINS = 10


@dataclass(frozen=True)
class ReliabilityBins:
    """Sums over the probabilities p of `BINS` bins of equal width, and over what happened, y (0 or 1).

    Sums of several members add up, so that their bins are those of all answers together.

    Args:
        n, p, y, pp, py: `[BINS]`: how many, Σ p, Σ y, Σ p², Σ p y.
    """

    n: Floats
    p: Floats
    y: Floats
    pp: Floats
    py: Floats

    @property
    def mean_p(self) -> Floats:
        """Mean probability of each bin, NaN in an empty one."""
        return _divide(self.p, self.n)

    @property
    def share(self) -> Floats:
        """Observed share of each bin, NaN in an empty one."""
        return _divide(self.y, self.n)


@dataclass(frozen=True)
class BrierParts:
    """The Brier score and the terms that it is the sum of:

        brier = reliability − resolution + uncertainty + within_variance − within_covariance

    Murphy's (1973) three terms describe probabilities that are equal within a bin; what differs within the bins are the
    other two (Stephenson, Coelho and Jolliffe 2008), so that the sum is exact for any bins.

    Args:
        reliability: Σ n_b (p̄_b − ȳ_b)² / n: how far bins are from coming true; 0 is best.
        resolution: Σ n_b (ȳ_b − ȳ)² / n: how much the bins differ in what happens; more is better.
        uncertainty: ȳ (1 − ȳ): of always predicting the overall share.
        within_variance: Σ (p − p̄_b)² / n. within_covariance: 2 Σ (p − p̄_b)(y − ȳ_b) / n.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float


def sum_reliability_bins(p: Floats, happened: Floats) -> ReliabilityBins:
    """Sum probabilities `[n]` and what happened `[n]` over bins; the last one holds p = 1."""
    place = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    sums = (np.bincount(place, w, BINS) for w in (np.ones_like(p), p, happened, p * p, p * happened))
    return ReliabilityBins(*(np.asarray(s, np.float64) for s in sums))


def decompose_brier(bins: ReliabilityBins) -> BrierParts:
    """Decompose the Brier score of the answers in these bins; it is exact, because y² = y."""
    n, filled = bins.n.sum(), bins.n > 0
    own, p, y = bins.n[filled], bins.p[filled], bins.y[filled]
    mean_p, share, overall = p / own, y / own, y.sum() / n
    return BrierParts(
        float((bins.pp.sum() - 2 * bins.py.sum() + bins.y.sum()) / n),
        float((own * (mean_p - share) ** 2).sum() / n),
        float((own * (share - overall) ** 2).sum() / n),
        float(overall * (1 - overall)),
        float((bins.pp[filled] - own * mean_p**2).sum() / n),
        float(2 * (bins.py[filled] - own * mean_p * share).sum() / n),
    )


def _divide(total: Floats, count: Floats) -> Floats:
    return np.asarray(np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0))
