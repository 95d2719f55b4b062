"""Cox's proportional hazards model by Newton's method: ties after Efron, with a ridge penalty if wanted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.errors import PolytaskError

MAX_NEWTON_STEPS = 50
CONVERGENCE_SHARE = 1e-9
"""Newton stops where the gain of a step is below this share of the log likelihood."""
MAX_LOG_HAZARD_RATIO = 15.0
"""A larger log hazard ratio between the two ends of a column grows to infinity: one end has no events."""
MAX_SCORE_RANGE = 500.0
"""How far below the largest score a score may lie, so that no weight becomes 0."""


@dataclass(frozen=True)
class CoxFit:
    """A fitted Cox model, with what is known of its certainty.

    Args:
        coefficients: log hazard ratios `[F]`.
        covariance: inverse of the (penalized) information `[F, F]`.
        log_likelihood: Efron's partial log likelihood at the coefficients, without the penalty.
        converged: False where there is no single maximum: a group without events, columns that say the same, or no
            event with another subject at risk.
    """

    coefficients: Floats
    covariance: Floats
    log_likelihood: float
    converged: bool


def fit_cox(x: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike, penalty: float = 0.0) -> CoxFit:
    """Maximize Efron's partial log likelihood − penalty/2 · Σ β².

    Args:
        x: columns `[N, F]`. times: `[N]`. events: `[N]`, 1 = observed.
        penalty: 0 for the plain model.

    Raises:
        PolytaskError: there is no row.
    """
    if not len(np.asarray(times)):
        raise PolytaskError(
            "Cox model: no row to fit; expected at least one subject with a known time; fill the columns of the time "
            "and the event"
        )
    columns = np.asarray(x, np.float64).reshape(len(np.asarray(times)), -1)
    order = np.argsort(-np.asarray(times, np.float64), kind="stable")
    columns, t, e = columns[order], np.asarray(times, np.float64)[order], np.asarray(events)[order] > 0
    beta = np.zeros(columns.shape[1])
    identity = np.eye(len(beta))
    value, slope, information = compute_cox_terms(columns, t, e, beta)
    converged = not len(beta)
    for _ in range(MAX_NEWTON_STEPS):
        if converged:
            break
        step = np.linalg.lstsq(information + penalty * identity, slope - penalty * beta, rcond=None)[0]
        objective, length = value - penalty / 2 * float(beta @ beta), 1.0
        while True:  # halve the step until the objective does not fall
            tried = beta + length * step
            terms = compute_cox_terms(columns, t, e, tried)
            gain = terms[0] - penalty / 2 * float(tried @ tried) - objective
            if gain >= 0 or length < 1e-6:
                break
            length /= 2
        beta = tried
        value, slope, information = terms
        if abs(gain) <= CONVERGENCE_SHARE * (abs(value) + 1):
            converged = True
    width = np.ptp(columns, axis=0)
    curved = information + penalty * identity
    # Columns that say the same leave a direction in which the likelihood does not change.
    single = int(np.linalg.matrix_rank(curved)) == len(beta)
    converged = converged and single and bool((np.abs(beta) * width < MAX_LOG_HAZARD_RATIO).all())
    covariance = np.asarray(np.linalg.pinv(curved), np.float64)
    return CoxFit(beta, covariance, value, converged)


def compute_cox_terms(
    x: Floats, times: Floats, events: npt.NDArray[np.bool_], beta: Floats
) -> tuple[float, Floats, Floats]:
    """Compute (log likelihood, gradient `[F]`, information `[F, F]`) of rows in the order of falling times.

    Of d events tied at one time, the l-th (0, 1, …) sees the tied ones with weight 1 − l/d.
    """
    scores = x @ beta
    # A Newton step may try absurd scores on its way: weights then must not all become 0.
    scores = np.maximum(scores - scores.max(initial=-np.inf), -MAX_SCORE_RANGE) if len(scores) else scores
    weight = np.exp(scores)
    width = x.shape[1]
    value, slope, information = 0.0, np.zeros(width), np.zeros((width, width))
    s0, s1, s2 = 0.0, np.zeros(width), np.zeros((width, width))  # sums over all who are still at risk
    edges = np.flatnonzero(np.diff(times)) + 1
    for rows in np.split(np.arange(len(times)), edges):
        w, own = weight[rows], x[rows]
        s0, s1, s2 = s0 + float(w.sum()), s1 + w @ own, s2 + (own * w[:, None]).T @ own
        dead = rows[events[rows]]
        if not len(dead):
            continue
        w, own = weight[dead], x[dead]
        d0, d1, d2 = float(w.sum()), w @ own, (own * w[:, None]).T @ own
        value += float(scores[dead].sum())
        slope = slope + own.sum(0)
        for share in np.arange(len(dead)) / len(dead):
            total = s0 - share * d0
            mean = (s1 - share * d1) / total
            value -= float(np.log(total))
            slope = slope - mean
            information = information + (s2 - share * d2) / total - np.outer(mean, mean)
    return value, slope, information


def compute_cox_likelihood(risk: npt.ArrayLike, times: npt.ArrayLike, events: npt.ArrayLike) -> float:
    """Compute Efron's partial log likelihood of given log hazard ratios."""
    r, t = np.asarray(risk, np.float64), np.asarray(times, np.float64)
    order = np.argsort(-t, kind="stable")
    one = np.ones(1)
    return compute_cox_terms(r[order, None], t[order], np.asarray(events)[order] > 0, one)[0]
