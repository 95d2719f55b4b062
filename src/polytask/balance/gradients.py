"""Rules that read how the tasks' gradients lie to each other: functions of their Gramian `[K, K]` → weights `[K]`.

Σ w = K or a length that is the method's own; equal gradients give that gradient back. They remember nothing.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from polytask.balance.geometry import EDGE, fair, projected, scaled, shortest, unit
from polytask.balance.rule import Array


def mgda(gramian: Array, draw: np.random.Generator) -> Array:
    """The shortest vector in the hull of the gradients: a descent of all tasks (MGDA; Sener & Koltun, NeurIPS 2018)."""
    return len(gramian) * shortest(gramian)


def pcgrad(gramian: Array, draw: np.random.Generator) -> Array:
    """Each gradient without what opposes another one, in drawn order (PCGrad; Yu, NeurIPS 2020)."""
    total = np.zeros(len(gramian))
    for own in range(len(gramian)):
        found = np.zeros(len(gramian))
        found[own] = 1.0
        for other in draw.permutation(len(gramian)):
            inner = gramian[other] @ found
            if other != own and inner < 0:
                found[other] -= inner / gramian[other, other]
        total += found
    return total


def cagrad(gramian: Array, draw: np.random.Generator, c: float = 0.4) -> Array:
    """The step that helps the worst-off task most within c of the mean gradient (CAGrad; Liu, NeurIPS 2021).

    Divided by 1 + c, so that equal gradients give that gradient.
    """
    even, count = scaled(gramian), len(gramian)
    mean = np.full(count, 1 / count)
    radius = c * np.sqrt(max(float(mean @ even @ mean), 0.0))

    def worst(w: Array) -> tuple[float, Array]:
        length = np.sqrt(max(float(w @ even @ w), EDGE))
        return float(w @ even @ mean + radius * length), even @ mean + radius * (even @ w) / length

    found = minimize(
        worst,
        mean,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(count)},
        options={"ftol": 1e-12, "maxiter": 200},
    ).x
    w = np.clip(found, 0.0, None) / np.clip(found, 0.0, None).sum()
    length = np.sqrt(max(float(w @ even @ w), EDGE))
    return np.asarray(count * (mean + radius / length * w) / (1 + c))


def imtl_g(gramian: Array, draw: np.random.Generator) -> Array:
    """The step whose projection on every task's direction is the same (IMTL-G; Liu, ICLR 2021); Σ w = K."""
    cosines, lengths = unit(gramian)
    found = np.linalg.pinv(cosines, rcond=1e-10, hermitian=True) @ np.ones(len(cosines)) / lengths
    total = abs(found.sum())  # its sign would turn the step against every task
    if total <= EDGE * abs(found).max():
        return np.ones(len(found))
    return np.asarray(len(found) * found / total)


def nash(gramian: Array, draw: np.random.Generator) -> Array:
    """Nash's bargain among the tasks, Gα = 1 / α (Nash-MTL; Navon, ICML 2022); α scaled to Σ w = K."""
    cosines, lengths = unit(gramian)  # the bargain does not depend on how long each gradient is
    alpha = fair(cosines, 1.0) / lengths
    return np.asarray(len(alpha) * alpha / alpha.sum())


def fairgrad(gramian: Array, draw: np.random.Generator, alpha: float = 2.0) -> Array:
    """α-fair shares of progress, Gw = w^(−1/α) (FairGrad; Ban & Ji, ICML 2024); scaled to Σ w = K. 1 is `nash`."""
    found = fair(gramian, 1 / alpha)
    return np.asarray(len(found) * found / found.sum())


def aligned(gramian: Array, draw: np.random.Generator) -> Array:
    """Gradients turned into an orthogonal system of the shortest axis' length (Aligned-MTL; Senushkin, CVPR 2023)."""
    values, vectors = np.linalg.eigh(scaled(gramian))
    kept = values > values.max() * 1e-7
    values, vectors = values[kept], vectors[:, kept]
    return np.asarray(np.sqrt(values.min()) * (vectors / np.sqrt(values)) @ vectors.T @ np.ones(len(gramian)))


def upgrad(gramian: Array, draw: np.random.Generator) -> Array:
    """The mean of all gradients, each projected to where it opposes no task (UPGrad; Quinton & Rey 2024)."""
    return np.asarray(sum(projected(gramian, own) for own in np.eye(len(gramian))))
