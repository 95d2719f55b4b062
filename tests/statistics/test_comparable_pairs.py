"""Counting in n log² n steps gives what comparing each item with each gives, with ties, in groups, and for few."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics import comparable_pairs
from polytask.statistics.comparable_pairs import PairCounts, count_inversions, count_pairs

R = np.random.default_rng(3)


def compare_each(risk: np.ndarray, times: np.ndarray, events: np.ndarray, groups: np.ndarray) -> PairCounts:
    """The definition, each item with each."""
    r, t, e, g = (np.asarray(x) for x in (risk, times, np.asarray(events) > 0, groups))
    later = (t[None] > t[:, None]) | ((t[None] == t[:, None]) & ~e[None])
    pairs = later & e[:, None] & (g[None] == g[:, None])
    right = pairs * ((r[None] < r[:, None]) + 0.5 * (r[None] == r[:, None]))
    return PairCounts(pairs.sum(1), right.sum(1), pairs.sum(0), right.sum(0))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 16, 65, 200])
@pytest.mark.parametrize("ties", [True, False])
def test_counts_are_those_of_comparing_each_with_each(n: int, ties: bool) -> None:
    for _ in range(5):
        risk, times = R.normal(size=n) * 2, R.exponential(5, n)
        if ties:
            risk, times = np.round(risk), np.ceil(times)
        events, groups = R.random(n) < 0.6, R.integers(-2, 3, n)
        for found, expected in (
            (count_pairs(risk, times, events), compare_each(risk, times, events, np.zeros(n))),
            (count_pairs(risk, times, events, groups), compare_each(risk, times, events, groups)),
        ):
            for field in PairCounts._fields:
                np.testing.assert_array_equal(getattr(found, field), getattr(expected, field), field)


def test_inversions_by_hand() -> None:
    behind, before = count_inversions(np.array([2, 0, 3, 1]), [True, True, False, True])
    assert behind.tolist() == [2, 0, 1, 0]
    assert before.tolist() == [0, 1, 0, 1], "the 3 is not counted"


def test_steps_grow_with_the_items_and_not_with_their_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elements that numpy sorts, the costly step: twice the items take 2 · (1 + 1/log₂ n) times as many, not four."""
    handled = 0

    def counted(values: np.ndarray, **rest: str) -> np.ndarray:
        nonlocal handled
        handled += values.size
        return sort(values, **rest)

    sort, counts = np.argsort, []
    for n in (2048, 4096):
        handled = 0
        monkeypatch.setattr(comparable_pairs.np, "argsort", counted)
        count_pairs(R.normal(size=n), R.exponential(size=n), R.random(n) < 0.6)
        monkeypatch.undo()
        counts.append(handled)
    assert 0 < counts[0] <= 2048 * 14
    assert counts[1] / counts[0] < 2.2
