"""Computes PPV and NPV at a stated prevalence: what an answer means where the disease is as frequent as said."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import NamedTuple

from polytask.array_types import NAN
from polytask.evaluation.evaluation_result import Estimate


class PredictiveValues(NamedTuple):
    """Share of the positive answers that are right, and of the negative ones, at a prevalence."""

    ppv: Estimate
    npv: Estimate


def compute_predictive_values(
    sensitivity: Estimate, specificity: Estimate, prevalence: float
) -> PredictiveValues:
    """Compute both from sensitivity and specificity, which do not depend on how frequent the disease is.

    PPV = π LR₊ / (π LR₊ + 1 − π) with LR₊ = sensitivity / (1 − specificity), and 1 − NPV alike with
    LR₋ = (1 − sensitivity) / specificity. Positives and negatives are other people, so the interval of each ratio
    follows from those of its two shares (method of variance estimates recovered: Donner and Zou 2012).
    """
    missed, alarms = (_find_complement(e) for e in (sensitivity, specificity))
    odds = prevalence / (1 - prevalence)
    positive, negative = (
        tuple(_convert_odds(odds * end) for end in find_ratio_interval(above, below))
        for above, below in ((sensitivity, alarms), (missed, specificity))
    )
    n = sensitivity.n + specificity.n
    reason = sensitivity.reason or specificity.reason
    return PredictiveValues(
        Estimate(positive[0], positive[1], positive[2], n, reason),
        Estimate(1 - negative[0], 1 - negative[2], 1 - negative[1], n, reason),
    )


def find_ratio_interval(above: Estimate, below: Estimate) -> tuple[float, float, float]:
    """Find the ratio of two independent shares with its interval: (ratio, low, high); infinite where it is so."""
    a, b = above.estimate, below.estimate
    if not (isfinite(a) and isfinite(b)) or a == b == 0:
        return NAN, NAN, NAN
    ratio = a / b if b else float("inf")
    if not (isfinite(above.low) and isfinite(below.low)):
        return ratio, NAN, NAN

    def find_end(own: float, other: float, sign: float) -> float:
        denominator = other * (2 * b - other)
        if denominator == 0:
            return float("inf")
        root = sqrt(max(0.0, (a * b) ** 2 - own * other * (2 * a - own) * (2 * b - other)))
        return (a * b + sign * root) / denominator

    low, high = find_end(above.low, below.high, -1.0), find_end(above.high, below.low, 1.0)
    # Below twice the share an upper end has no solution: then the ratio has no bound on that side.
    return ratio, max(0.0, low) if isfinite(low) else 0.0, high if high >= ratio else float("inf")


def _find_complement(e: Estimate) -> Estimate:
    return Estimate(1 - e.estimate, 1 - e.high, 1 - e.low, e.n, e.reason)


def _convert_odds(odds: float) -> float:
    """Convert odds to a share; infinite odds are 1."""
    return 1.0 if odds == float("inf") else odds / (1 + odds)
