"""Small solvers on the Gramian of K gradients. None of them depends on the scale of the Gramian."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from polytask.balance.rule import Array

ZERO_TOLERANCE = 1e-12
"""What counts as 0 next to 1."""
ANGLE_RIDGE = 1e-5
"""Added to the diagonal, relative to it, where rounding could be taken for an angle."""
FLAT_AXIS_SHARE = 1e-7
"""Eigenvalue of K cosines, divided by K, up to which an axis is only float32 rounding."""
EIGENVALUE_FLOOR = 1e-15
"""Eigenvalue of a Gramian, relative to the largest, below which float64 cannot tell it from 0."""
SEARCH_HALVINGS = 30
"""How often a search halves its interval: to the last digits of a length."""
FAIR_RIDGE = 1e-8
"""Added to a scaled Gramian where a solution could grow without limit."""


def split_cosines_and_lengths(gramian: Array) -> tuple[Array, Array]:
    """Split a Gramian into the cosines of the gradients `[K, K]` and their lengths `[K]`."""
    lengths = np.sqrt(np.diag(gramian))
    return gramian / np.outer(lengths, lengths), lengths


def scale_gramian(gramian: Array) -> Array:
    """Make the Gramian symmetric and its mean diagonal 1."""
    even = (gramian + gramian.T) / 2
    size = np.trace(even) / len(even)
    scaled_gramian: Array = even / size if size > 0 else even
    return scaled_gramian


def find_gramian_root(gramian: Array) -> Array:
    """Return R with RᵀR = the Gramian: its columns are the gradients in K coordinates."""
    values, vectors = np.linalg.eigh(gramian)
    root: Array = np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T
    return root


def project_on_dual_cone(gramian: Array, start: Array) -> Array:
    """Find the vector Σ vₖ gₖ that is nearest to Σ startₖ gₖ and that no gradient opposes; returns its v.

    The dual variable is v − start ≥ 0. Gradients that are exactly opposed leave, in float32, a Gramian that is not
    quite singular, and its exact solution grows as rounding shrinks: hence `ANGLE_RIDGE`.
    """
    even = scale_gramian(gramian)
    sides = find_gramian_root(even + ANGLE_RIDGE * np.diag(np.diag(even)))
    weights: Array = start + nnls(sides, -sides @ start)[0]
    return weights


def find_min_norm_weights(gramian: Array) -> Array:
    """Find the point of least norm in the convex hull of the gradients; returns its weights (sum 1).

    The problem min λᵀGλ / 2 − Σλ over λ ≥ 0 has the same conditions up to scale. A ridge keeps it bounded where the
    hull contains 0.
    """
    even = scale_gramian(gramian)
    values, vectors = np.linalg.eigh(even)
    roots = np.sqrt(np.clip(values, 0.0, None) + ZERO_TOLERANCE)
    sides = roots[:, None] * vectors.T
    weights = nnls(sides, (vectors / roots).T @ np.ones(len(even)))[0]
    return np.asarray(weights / weights.sum())


def find_steepest_step(gramian: Array, along: Array, c: float) -> tuple[Array, float]:
    """Find the w of the simplex at which gᵥ·u + c ‖gᵥ‖ is least, where gᵥ = Σ wₖ gₖ and u is a unit vector.

    Returns w and ‖gᵥ‖ there. For a given length s, w is where the hull of the gradients is nearest to −(s / c) u: both
    problems have the same conditions. ‖gᵥ‖ − s changes its sign once, from above, at the s that is sought. Where the
    hull holds 0 there is no such s: the mean comes back, with the largest length of a gradient, so that nobody divides
    by 0.

    Args:
        gramian: of the gradients. along: their inner products with u. c: more than 0, at most 1.
    """
    low, high = 0.0, float(np.sqrt(np.diag(gramian).max()))
    best, length = np.full(len(gramian), 1 / len(gramian)), high
    for _ in range(SEARCH_HALVINGS):
        s = (low + high) / 2
        weights = find_min_norm_weights(gramian + (s / c) * (along[:, None] + along) + (s / c) ** 2)
        reached = np.sqrt(max(float(weights @ gramian @ weights), 0.0))
        if reached >= s * (1 - ZERO_TOLERANCE):
            low, best, length = s, weights, reached
        else:
            high = s
    return best, length


def solve_fair_weights(gramian: Array, power: float, rounds: int = 200) -> Array:
    """Find α > 0 with Gα = α^(−power), where 0 < power ≤ 1.

    It minimizes αᵀGα / 2 − Σ α^(1−power) / (1 − power), with the logarithm at power 1. This is convex, so Newton's
    steps find it, each halved until the value falls. A ridge keeps α bounded where the hull of the gradients contains
    0.
    """
    even = scale_gramian(gramian)
    even = even + FAIR_RIDGE * np.diag(np.diag(even))

    def height(alpha: Array) -> float:
        gain = np.log(alpha) if power == 1 else alpha ** (1 - power) / (1 - power)
        return float(alpha @ even @ alpha / 2 - gain.sum())

    alpha = np.ones(len(even))
    for _ in range(rounds):
        slope = even @ alpha - alpha**-power
        step = np.linalg.solve(even + np.diag(power * alpha ** (-power - 1)), slope)
        fall = float(slope @ step)
        # The Newton decrement: an estimate of how much is left to gain.
        if fall < ZERO_TOLERANCE:
            break
        length = 1.0
        while (alpha <= length * step).any() or height(alpha - length * step) > height(
            alpha
        ) - length * fall / 4:
            length /= 2
            if length < ZERO_TOLERANCE:
                return alpha
        alpha = alpha - length * step
    return alpha
