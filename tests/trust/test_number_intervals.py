"""Intervals by hand, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.number_intervals import make_intervals, score_numbers


def test_one_member_adds_its_score_on_both_sides() -> None:
    known = np.arange(1.0, 10.0)
    low, high = make_intervals([np.array([10.0, 20.0])], [np.array([1.0, 2.0])], [known], 0.1)
    assert (low.tolist(), high.tolist()) == ([1.0, 2.0], [19.0, 38.0])
    low, high = make_intervals([np.array([10.0])], [np.ones(1)], [known], 0.2)
    assert (low.tolist(), high.tolist()) == ([2.0], [18.0])


def test_too_few_known_answers_give_no_interval() -> None:
    low, high = make_intervals([np.zeros(2)], [np.ones(2)], [np.arange(8.0)], 0.1)
    assert (low.tolist(), high.tolist()) == ([-np.inf] * 2, [np.inf] * 2)


def test_members_take_part_with_their_own_scores() -> None:
    """Of 0 ± {1, 2} and 10 ± {3} the first and the last are −2 and 13."""
    low, high = make_intervals(
        [np.zeros(1), np.full(1, 10.0)], [np.ones(1)] * 2, [np.array([1.0, 2.0]), np.array([3.0])], 0.25
    )
    assert (low.tolist(), high.tolist()) == ([-2.0], [13.0])


def test_intervals_hold_the_truth_as_often_as_promised() -> None:
    random, n, alpha = np.random.default_rng(0), 39, 0.1
    held = []
    for _ in range(400):
        spread = random.uniform(0.5, 3, n + 100)
        truth = random.normal(0, spread)
        scores = score_numbers(np.zeros(n), truth[:n], spread[:n])
        low, high = make_intervals([np.zeros(100)], [spread[n:]], [scores], alpha)
        held.append(((low <= truth[n:]) & (truth[n:] <= high)).mean())
    assert np.mean(held) == pytest.approx(36 / 40, abs=3 * np.std(held) / 20)
