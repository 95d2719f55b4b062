"""How sure an effect is: a standard error with degrees of freedom, and the p and interval that follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from polytask.statistics.draws import Floats
from polytask.statistics.freedom import Array, held_back, satterthwaite

STEPS = 60


@dataclass(frozen=True)
class Uncertainty:
    """Numbers for one effect, or arrays for a batch of studies.

    Args:
        error: standard error.
        share: of the seeds' part in its square; 0 with one seed.
        by_seeds: degrees of freedom of that part; 0 with one seed.
        by_subjects: of the rest.
    """

    error: Array
    share: Array
    by_seeds: float
    by_subjects: float

    def freedom(self, alpha: Array = 0.05) -> Floats:
        """Satterthwaite's over both parts, the seeds' held back as α asks; at least the smaller of the two."""
        share = np.asarray(self.share, np.float64)
        if not self.by_seeds:
            return np.full(np.broadcast(share, np.asarray(alpha)).shape, self.by_subjects)
        seeds = held_back(share, self.by_seeds, alpha)
        found = satterthwaite([share, 1 - share], [seeds, self.by_subjects])
        return np.maximum(found, min(self.by_seeds, self.by_subjects))

    def margin(self, alpha: Array = 0.05) -> Floats:
        """Half of the two-sided interval at 1 − α; 0 without error."""
        return np.asarray(self.error * stats.t.isf(np.asarray(alpha) / 2, self.freedom(alpha)), np.float64)

    def p(self, estimate: Array) -> Floats:
        """Two-sided: the smallest α whose interval excludes 0.

        As the degrees of freedom depend on α, it is where α = P(|t| ≥ |estimate|/error), found by halving; the right
        side falls as α grows, so there is one. 1 when there is neither effect nor error, NaN for an effect without any.
        """
        error, found = np.asarray(self.error, np.float64), np.abs(np.asarray(estimate, np.float64))
        ratio = np.where(
            error > 0, found / np.where(error > 0, error, 1.0), np.where(found == 0, 0.0, np.nan)
        )
        low, high = np.full_like(ratio, -690.0), np.zeros_like(ratio)
        for _ in range(STEPS):
            middle = (low + high) / 2
            larger = tail(ratio, self.freedom(np.exp(middle))) > np.exp(middle)
            low, high = np.where(larger, middle, low), np.where(larger, high, middle)
        return tail(ratio, self.freedom(np.exp(high)))


def tail(ratio: Floats, freedom: Floats) -> Floats:
    """P(|t| ≥ ratio)."""
    return np.asarray(2 * stats.t.sf(ratio, freedom), np.float64)
