"""Ranks by hand, and how often sets hold the truth."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest

from polytask.trust.conformal import (
    compute_rank_p_values,
    find_score_rank,
    find_smallest_count,
    find_worst_case_coverage,
)
from tests.trust.threshold import find_score_threshold


def test_a_tenth_needs_nine_known_answers() -> None:
    assert [find_smallest_count(a) for a in (0.5, 0.2, 0.1, 0.05, 0.01)] == [1, 4, 9, 19, 99]
    for alpha in (0.2, 0.1, 0.05):
        n = find_smallest_count(alpha)
        assert find_score_rank(n, alpha) == n
        assert find_score_rank(n - 1, alpha) > n - 1


def test_the_rank_is_not_moved_by_rounding() -> None:
    """(9 + 1)(1 − 0.1) is 9, and (99 + 1) · 0.95 is 95."""
    assert (find_score_rank(9, 0.1), find_score_rank(99, 0.05), find_score_rank(10, 0.1)) == (9, 95, 10)


def test_a_threshold_is_a_score_or_none_at_all() -> None:
    scores = np.array([0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.4, 0.8, 0.6])
    assert find_score_threshold(scores, 0.1) == 0.9
    assert find_score_threshold(scores, 0.2) == 0.8
    assert find_score_threshold(scores[:8], 0.1) == inf


def test_p_values_keep_what_the_threshold_keeps() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        known, alpha = random.integers(0, 20, int(random.integers(3, 40))) / 20, random.uniform(0.05, 0.5)
        candidates = np.concatenate([known, random.uniform(-0.1, 1.1, 20)])
        kept = compute_rank_p_values([candidates], [known]) > alpha
        assert kept.tolist() == (candidates <= find_score_threshold(known, alpha)).tolist()


def test_members_rank_with_their_own_scores() -> None:
    found = compute_rank_p_values(
        [np.array([2.0]), np.array([5.0])], [np.array([1.0, 2.0, 3.0]), np.array([4.0])]
    )
    assert found.tolist() == [3 / 5], "two of three are at least as strange, and none of one"


def test_coverage_is_that_of_a_beta_distribution() -> None:
    """Of n known scores the k-th holds back a new one with the chance Beta(k, n + 1 − k): mean k / (n + 1) = 0.9,
    variance k (n + 1 − k) / ((n + 1)² (n + 2))."""
    random, n, alpha, draws = np.random.default_rng(1), 19, 0.1, 1500
    coverage = np.array([find_score_threshold(random.uniform(size=n), alpha) for _ in range(draws)])
    variance = 18 * 2 / (20**2 * 21)
    assert coverage.mean() == pytest.approx(18 / 20, abs=3 * sqrt(variance / draws))
    assert coverage.var() == pytest.approx(variance, rel=0.15)


def test_the_worst_case_of_folds() -> None:
    """K = 5, n = 100: 2 · 0.8 / 21 = 0.0762, and 0.95 / 6 = 0.1583."""
    assert find_worst_case_coverage([20] * 5, 0.1) == pytest.approx(0.8 - 1.6 / 21)
    assert find_worst_case_coverage([20], 0.1) == 0.9
    assert find_worst_case_coverage([1, 1], 0.5) == 0.0
