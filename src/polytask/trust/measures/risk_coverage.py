"""How much the error falls when the least sure answers are left to people: risk–coverage curves and their areas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polytask.array_types import NAN, Floats


@dataclass(frozen=True)
class RiskCoverage:
    """The curve of n answers, from the surest one to all. It steps only where the confidence changes: of answers that
    are equally sure none can be preferred.

    Args:
        coverage: `[steps]`, share of the answers that are given, increasing to 1.
        risk: `[steps]`, mean loss of those.
        confidence: `[steps]`, of the least sure of those.
    """

    coverage: Floats
    risk: Floats
    confidence: Floats


def trace_risk_coverage(confidence: Floats, loss: Floats) -> RiskCoverage:
    """Trace the curve of answers with these confidences and losses `[n]`."""
    order = np.argsort(-confidence, kind="stable")
    sure, lost = confidence[order], np.cumsum(loss[order])
    ends = np.flatnonzero(np.append(sure[1:] != sure[:-1], True)) if len(sure) else np.zeros(0, np.int64)
    return RiskCoverage((ends + 1) / max(len(sure), 1), lost[ends] / (ends + 1), sure[ends])


def compute_aurc(curve: RiskCoverage) -> float:
    """Compute the area under the risk–coverage curve: the mean over all answers, from the surest to the least sure, of
    the risk when it and all surer ones are given (Geifman and El-Yaniv 2017; Geifman, Uziel and El-Yaniv 2019).

    Of n answers without ties it is Σ (H_n − H_{n−r}) ℓ / n, where r is the rank of an answer from the least sure one
    and H the harmonic numbers (Zhou et al. 2025).
    """
    if not len(curve.coverage):
        return NAN
    return float(np.diff(curve.coverage, prepend=0.0) @ curve.risk)


def compute_augrc(curve: RiskCoverage) -> float:
    """Compute the area under the generalized risk–coverage curve: coverage times risk, which is the share of all cases
    that get a wrong answer, over coverage from 0 to 1 (Traub et al. 2024; trapezoids, as there).

    Answers ordered by chance have half the error, a perfect order half its square.
    """
    if not len(curve.coverage):
        return NAN
    at = np.append(0.0, curve.coverage)
    return float(np.trapezoid(np.append(0.0, curve.coverage * curve.risk), at))
