"""Rules that read the lengths of the tasks' gradients and the angles between them: Gramian `[K, K]` → weights `[K]`.

Σ w = K, or a length that the method sets itself; equal gradients give that gradient back. These rules remember nothing.
"""

from __future__ import annotations

import numpy as np

from polytask.balance.gramian_solvers import (
    EIGENVALUE_FLOOR,
    FLAT_AXIS_SHARE,
    ZERO_TOLERANCE,
    find_min_norm_weights,
    find_steepest_step,
    project_on_dual_cone,
    scale_gramian,
    solve_fair_weights,
    split_cosines_and_lengths,
)
from polytask.balance.rule import Array

CAGRAD_TOLERANCE = 1e-4
"""A distance counts as within a limit up to this much more, relative to the square of the limit."""


def weigh_by_mgda(gramian: Array, draw: np.random.Generator) -> Array:
    """The shortest vector in the hull of the gradients: a descent of all tasks (MGDA; Sener & Koltun, NeurIPS 2018)."""
    return len(gramian) * find_min_norm_weights(gramian)


def weigh_by_pcgrad(gramian: Array, draw: np.random.Generator) -> Array:
    """Each gradient without its part that opposes another one, in random order (PCGrad; Yu, NeurIPS 2020)."""
    total = np.zeros(len(gramian))
    for own in range(len(gramian)):
        coefficients = np.zeros(len(gramian))
        coefficients[own] = 1.0
        for other in draw.permutation(len(gramian)):
            inner = gramian[other] @ coefficients
            if other != own and inner < 0:
                coefficients[other] -= inner / gramian[other, other]
        total += coefficients
    return total


def weigh_by_cagrad(gramian: Array, draw: np.random.Generator, c: float = 0.4) -> Array:
    """The step that helps the worst-off task most within c of the mean gradient (CAGrad; Liu, NeurIPS 2021).

    Its formula is 0 / 0 where two gradients are exactly opposed: no step helps both. Then the step nearest to the mean
    that opposes no task is taken, if it lies within c. The result is divided by 1 + c, so that equal gradients give
    that gradient.
    """
    even, count = scale_gramian(gramian), len(gramian)
    mean = np.full(count, 1 / count)
    size = np.sqrt(max(float(mean @ even @ mean), 0.0))
    if not size * c > 0:
        return np.asarray(count * mean / (1 + c))
    direction, length = find_steepest_step(even, even @ mean / size, c)
    step, nearest = mean + c * size / length * direction, project_on_dual_cone(even, mean)
    away = float((nearest - mean) @ even @ (nearest - mean))
    if away <= (1 + CAGRAD_TOLERANCE) * (c * size) ** 2 and (even @ nearest).min() > (even @ step).min():
        step = nearest
    return np.asarray(count * step / (1 + c))


def weigh_by_imtl_g(gramian: Array, draw: np.random.Generator) -> Array:
    """The step whose projection on every task's direction is the same (IMTL-G; Liu, ICLR 2021); Σ w = K."""
    cosines, lengths = split_cosines_and_lengths(gramian)
    weights = np.linalg.pinv(cosines, rcond=1e-10, hermitian=True) @ np.ones(len(cosines)) / lengths
    total = abs(weights.sum())  # with its sign the step could turn against every task
    if total <= ZERO_TOLERANCE * abs(weights).max():
        return np.ones(len(weights))
    return np.asarray(len(weights) * weights / total)


def weigh_by_nash(gramian: Array, draw: np.random.Generator) -> Array:
    """Nash's bargain among the tasks, Gα = 1 / α (Nash-MTL; Navon, ICML 2022); α scaled to Σ w = K."""
    cosines, lengths = split_cosines_and_lengths(
        gramian
    )  # the bargain does not depend on how long each gradient is
    alpha = solve_fair_weights(cosines, 1.0) / lengths
    return np.asarray(len(alpha) * alpha / alpha.sum())


def weigh_by_fairgrad(gramian: Array, draw: np.random.Generator, alpha: float = 2.0) -> Array:
    """α-fair shares of progress, Gw = w^(−1/α) (FairGrad; Ban & Ji, ICML 2024); scaled to Σ w = K. 1 is `nash`."""
    weights = solve_fair_weights(gramian, 1 / alpha)
    return np.asarray(len(weights) * weights / weights.sum())


def weigh_by_alignment(gramian: Array, draw: np.random.Generator) -> Array:
    """Gradients turned into an orthogonal system of the shortest axis' length (Aligned-MTL; Senushkin, CVPR 2023).

    The number of axes comes from the angles between the gradients, whatever their lengths: a short gradient is as good
    an axis as a long one.
    """
    cosines, _ = split_cosines_and_lengths(gramian)
    axes = int((np.linalg.eigvalsh(cosines) > FLAT_AXIS_SHARE * len(cosines)).sum())
    values, vectors = np.linalg.eigh(scale_gramian(gramian))
    values, vectors = np.maximum(values[-axes:], EIGENVALUE_FLOOR * values[-1]), vectors[:, -axes:]
    return np.asarray(np.sqrt(values[0]) * (vectors / np.sqrt(values)) @ vectors.T @ np.ones(len(gramian)))


def weigh_by_upgrad(gramian: Array, draw: np.random.Generator) -> Array:
    """The mean of all gradients, each projected to where it opposes no task (UPGrad; Quinton & Rey 2024)."""
    return np.asarray(sum(project_on_dual_cone(gramian, own) for own in np.eye(len(gramian))))
