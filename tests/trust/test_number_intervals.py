"""Intervals by hand, and how often they hold the truth."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.answer_forms import FORMS
from polytask.trust.number_intervals import (
    make_intervals,
    make_quantile_intervals,
    score_numbers,
    score_quantiles,
)


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


def test_quantiles_are_moved_by_the_same_step_on_both_sides() -> None:
    """CQR by hand: ten scores −4 … 5, of which the ninth and tenth smallest lie at 4 and 5."""
    low, high = np.array([0.0, 5.0]), np.array([10.0, 6.0])
    scores = score_quantiles(np.zeros(10), np.full(10, 10.0), np.arange(6.0, 16.0))
    assert scores.tolist() == [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5]
    moved = make_quantile_intervals([low], [high], [scores], 0.1)
    assert [end.tolist() for end in moved] == [[-5.0, 0.0], [15.0, 11.0]]
    # Moved inward by 3, the second one would be crossed.
    inward = make_quantile_intervals([low], [high], [np.full(10, -3.0)], 0.1)
    assert [end.tolist() for end in inward] == [[3.0, 5.5], [7.0, 5.5]]


def test_what_a_network_tells_makes_intervals_wider_where_it_is_unsure() -> None:
    random, n = np.random.default_rng(1), 2000
    sd = np.where(np.arange(2 * n) % 2 == 0, 1.0, 5.0)
    truth = random.normal(0, sd)
    quantiles = {"value": np.zeros(2 * n), "low": -1.645 * sd, "high": 1.645 * sd}
    for told in ({"value": np.zeros(2 * n), "spread": sd}, {**quantiles, "spread": sd}):
        known = {k: v[:n] for k, v in told.items()}
        new = {k: v[n:] for k, v in told.items()}
        form, seen = FORMS["number"], np.ones(n, bool)
        scores = form.list_scores(known, truth[:n], seen, np.zeros(n))
        sets = form.make_sets([new], [scores], 0.1, np.zeros(n))
        lengths = form.measure_size(sets)
        assert form.find_covered(sets, truth[n:]).mean() == pytest.approx(0.9, abs=0.03)
        assert lengths[::2].mean() == pytest.approx(2 * 1.645, rel=0.15)
        assert lengths[1::2].mean() == pytest.approx(10 * 1.645, rel=0.15)


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
