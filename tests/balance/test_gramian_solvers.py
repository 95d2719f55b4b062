"""How gradients lie, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.balance.gramian_solvers import (
    find_gramian_root,
    find_min_norm_weights,
    find_steepest_step,
    project_on_dual_cone,
    scale_gramian,
    solve_fair_weights,
    split_cosines_and_lengths,
)
from polytask.balance.rule import Array

G = np.array([[1.0, -0.5], [-0.5, 4.0]])


def test_cosines_and_lengths() -> None:
    cosines, lengths = split_cosines_and_lengths(G)
    assert lengths.tolist() == [1.0, 2.0]
    assert cosines.tolist() == [[1.0, -0.25], [-0.25, 1.0]]


def test_a_gramian_is_scaled_to_a_mean_diagonal_of_one() -> None:
    found = scale_gramian(np.array([[2.0, 1.0], [3.0, 6.0]]))
    assert found.tolist() == [[0.5, 0.5], [0.5, 1.5]]
    assert scale_gramian(0.01 * np.eye(2)).tolist() == [[1.0, 0.0], [0.0, 1.0]], "small gradients too"
    assert scale_gramian(np.zeros((2, 2))).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_a_root_has_the_gramian_s_inner_products() -> None:
    sides = find_gramian_root(G)
    assert sides.T @ sides == pytest.approx(G)
    flat = find_gramian_root(np.array([[1.0, 1.0], [1.0, 1.0]]))
    assert flat.T @ flat == pytest.approx(np.ones((2, 2)), abs=1e-7)


def test_the_nearest_vector_that_nobody_opposes() -> None:
    assert project_on_dual_cone(G, np.array([1.0, 0.0])) == pytest.approx([1.0, 0.125], rel=1e-4)
    assert project_on_dual_cone(G, np.array([0.0, 1.0])) == pytest.approx([0.5, 1.0], rel=1e-4)
    assert project_on_dual_cone(np.eye(2), np.array([1.0, 2.0])) == pytest.approx([1.0, 2.0])
    opposed = project_on_dual_cone(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([1.0, 0.0]))
    assert opposed == pytest.approx([1.0, 1.0], rel=1e-4), "a diagonal firmer by a hundred-thousandth"


def test_a_gradient_that_is_exactly_opposed_is_nearly_taken_back() -> None:
    """Of (1, v) the shortest under G + 10⁻⁵ has v = 1 / (1 + 10⁻⁵)."""
    found = project_on_dual_cone(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.array([1.0, 0.0]))
    assert found == pytest.approx([1, 1 / (1 + 1e-5)], rel=1e-8)


def test_the_shortest_vector_of_the_hull() -> None:
    assert find_min_norm_weights(G) == pytest.approx([0.75, 0.25])
    assert find_min_norm_weights(np.diag([1.0, 4.0, 4.0])) == pytest.approx([4 / 6, 1 / 6, 1 / 6])
    assert find_min_norm_weights(np.array([[1.0, -1.0], [-1.0, 1.0]])) == pytest.approx([0.5, 0.5], abs=1e-5)


def test_the_steepest_step_by_hand() -> None:
    """Of (1, 0) and (0, 1), along (1, 1) / √2, both are alike; their mean has the length √½."""
    found, length = find_steepest_step(np.eye(2), np.full(2, 0.5**0.5), 0.4)
    assert found == pytest.approx([0.5, 0.5])
    assert length == pytest.approx(0.5**0.5)
    turned, length = find_steepest_step(np.eye(2), np.array([1.0, 0.0]), 0.5)
    # (w, 1 − w) with w + ½ √(w² + (1 − w)²) least
    w = np.linspace(0, 1, 100_001)
    best = w[np.argmin(w + 0.5 * np.sqrt(w**2 + (1 - w) ** 2))]
    assert turned[0] == pytest.approx(best, abs=1e-3)
    assert length == pytest.approx(np.hypot(turned[0], turned[1]), rel=1e-3)


def test_the_steepest_step_may_be_the_longest_gradient() -> None:
    """(3, 0) against (0, 1), along (−1, 0): −3 w + ½ ‖(3 w, 1 − w)‖ falls up to w = 1."""
    found, length = find_steepest_step(np.diag([9.0, 1.0]), np.array([-3.0, 0.0]), 0.5)
    assert found == pytest.approx([1, 0], abs=1e-5)
    assert length == pytest.approx(3, rel=1e-5)


def test_no_point_of_the_simplex_is_steeper() -> None:
    random = np.random.default_rng(0)
    for _ in range(60):
        tasks, c = int(random.integers(2, 5)), random.uniform(0.1, 1)
        gradients = random.normal(size=(tasks, tasks)) * 10 ** random.uniform(-1, 1, (tasks, 1))
        along = gradients @ random.normal(size=tasks)
        along /= np.linalg.norm(np.linalg.solve(gradients, along))

        def height(weights: Array, of: Array = gradients, along: Array = along, c: float = c) -> Array:
            lowest: Array = weights @ along + c * np.linalg.norm(weights @ of, axis=-1)
            return lowest

        found, _ = find_steepest_step(gradients @ gradients.T, along, c)
        others = np.concatenate([np.eye(tasks), random.dirichlet(np.ones(tasks), 3000)])
        assert height(found) <= height(others).min() + 1e-5 * np.linalg.norm(gradients)


@pytest.mark.parametrize("power", [1.0, 0.5, 0.25])
def test_fair_shares_solve_their_equation(power: float) -> None:
    alpha = solve_fair_weights(G, power)
    assert (alpha > 0).all()
    even = G / 2.5
    assert even @ alpha == pytest.approx(alpha**-power, rel=1e-5)
    steep = solve_fair_weights(np.diag([1e-4, 1.0, 1e4]), power)
    assert np.diag([1e-4, 1.0, 1e4]) * 3 / 10001.0001 @ steep == pytest.approx(steep**-power, rel=1e-4)


@pytest.mark.parametrize("power", [1.0, 0.5, 0.25])
def test_fair_shares_are_exact_after_five_newton_steps(power: float) -> None:
    """Near the solution each step doubles the digits; it is solved anew in every training step."""
    assert solve_fair_weights(G, power, rounds=5) == pytest.approx(solve_fair_weights(G, power), rel=1e-9)


def test_fair_shares_of_opposed_gradients_stay_finite() -> None:
    found = solve_fair_weights(np.array([[1.0, -1.0], [-1.0, 1.0]]), 1.0)
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(found[1])
    assert found[0] == pytest.approx(1e4, rel=0.01), "α² · 10⁻⁸ = 1"


def test_where_gradients_are_opposed_no_step_is_steeper_than_their_mean() -> None:
    found, _ = find_steepest_step(np.array([[1.0, -1.0], [-1.0, 1.0]]), np.zeros(2), 0.5)
    assert found.tolist() == [0.5, 0.5]


def test_fair_weights_meet_their_condition_however_unequal_the_gradients_are() -> None:
    """G α = α^(−power), written as α^power · (G α) = 1; lengths differ by up to four powers of ten."""
    random = np.random.default_rng(0)
    for _ in range(60):
        tasks, power = int(random.integers(2, 6)), float(random.choice([0.3, 0.5, 0.9]))
        gradients = random.normal(size=(tasks, tasks)) * 10 ** random.uniform(-2, 2, size=(tasks, 1))
        even = scale_gramian(gradients @ gradients.T)
        weights = solve_fair_weights(even, power)
        assert weights**power * (even @ weights) == pytest.approx(np.ones(tasks), rel=1e-3)
