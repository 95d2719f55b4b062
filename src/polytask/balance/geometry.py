"""Small solvers on the Gramian of K gradients; all are invariant to its scale."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from polytask.balance.rule import Array

EDGE = 1e-12
"""What counts as 0 beside 1."""
FIRM = 1e-5
"""Added to the diagonal, relative to it, where rounding could be taken for an angle."""
FLAT = 1e-7
"""Eigenvalue of K cosines, over K, up to which an axis is rounding of float32."""
TINY = 1e-15
"""Eigenvalue of a Gramian beside the largest, below which float64 cannot tell it from 0."""
ROUNDS = 30
"""Halvings of a search: to the last digits of a length."""
RIDGE = 1e-8
"""Added to a scaled Gramian where a solution might run off."""


def unit(gramian: Array) -> tuple[Array, Array]:
    """Cosines of the gradients, and their lengths."""
    lengths = np.sqrt(np.diag(gramian))
    return gramian / np.outer(lengths, lengths), lengths


def scaled(gramian: Array) -> Array:
    """Symmetric, mean of the diagonal 1."""
    even = (gramian + gramian.T) / 2
    size = np.trace(even) / len(even)
    found: Array = even / size if size > 0 else even
    return found


def root(gramian: Array) -> Array:
    """R with RᵀR = the Gramian: its columns are the gradients in K coordinates."""
    values, vectors = np.linalg.eigh(gramian)
    found: Array = np.sqrt(np.clip(values, 0.0, None))[:, None] * vectors.T
    return found


def projected(gramian: Array, start: Array) -> Array:
    """The vector Σ vₖ gₖ nearest to Σ startₖ gₖ that no gradient opposes, as its v; the dual is v − start ≥ 0.

    Directly opposed gradients of float32 leave a Gramian that is not quite singular, whose exact solution is as long as
    rounding is small: hence `FIRM`.
    """
    even = scaled(gramian)
    sides = root(even + FIRM * np.diag(np.diag(even)))
    found: Array = start + nnls(sides, -sides @ start)[0]
    return found


def shortest(gramian: Array) -> Array:
    """The point of least norm in the convex hull of the gradients, as its weights (sum 1).

    min λᵀGλ / 2 − Σλ over λ ≥ 0 has the same conditions up to scale; a ridge keeps it bounded where the hull holds 0.
    """
    even = scaled(gramian)
    values, vectors = np.linalg.eigh(even)
    roots = np.sqrt(np.clip(values, 0.0, None) + EDGE)
    sides = roots[:, None] * vectors.T
    found = nnls(sides, (vectors / roots).T @ np.ones(len(even)))[0]
    return np.asarray(found / found.sum())


def find_steepest_step(gramian: Array, along: Array, c: float) -> tuple[Array, float]:
    """The w of the simplex at which gᵥ·u + c ‖gᵥ‖ is least, where gᵥ = Σ wₖ gₖ and u is a unit vector; and ‖gᵥ‖ there.

    For a given length s, w is where the hull of the gradients is nearest to −(s / c) u (both have the same conditions);
    ‖gᵥ‖ − s changes its sign once, from above, at the s that is sought.

    Args:
        gramian: of the gradients. along: their inner products with u. c: more than 0, at most 1.
    """
    low, high = 0.0, float(np.sqrt(np.diag(gramian).max()))
    best, length = np.full(len(gramian), 1 / len(gramian)), high
    for _ in range(ROUNDS):
        s = (low + high) / 2
        found = shortest(gramian + (s / c) * (along[:, None] + along) + (s / c) ** 2)
        reached = np.sqrt(max(float(found @ gramian @ found), 0.0))
        if reached >= s * (1 - EDGE):
            low, best, length = s, found, reached
        else:
            high = s
    return best, length


def fair(gramian: Array, power: float, rounds: int = 200) -> Array:
    """α > 0 with Gα = α^(−power), 0 < power ≤ 1.

    It is the least of αᵀGα / 2 − Σ α^(1−power) / (1 − power), the logarithm at power 1: convex, so Newton's steps,
    halved until it falls, find it. A ridge keeps α bounded where the hull of the gradients holds 0.
    """
    even = scaled(gramian)
    even = even + RIDGE * np.diag(np.diag(even))

    def height(alpha: Array) -> float:
        gain = np.log(alpha) if power == 1 else alpha ** (1 - power) / (1 - power)
        return float(alpha @ even @ alpha / 2 - gain.sum())

    alpha = np.ones(len(even))
    for _ in range(rounds):
        slope = even @ alpha - alpha**-power
        step = np.linalg.solve(even + np.diag(power * alpha ** (-power - 1)), slope)
        fall = float(slope @ step)
        if fall < EDGE:
            break
        length = 1.0
        while (alpha <= length * step).any() or height(alpha - length * step) > height(
            alpha
        ) - length * fall / 4:
            length /= 2
            if length < EDGE:
                return alpha
        alpha = alpha - length * step
    return alpha
