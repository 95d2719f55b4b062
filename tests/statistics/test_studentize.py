from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from polytask.statistics.resample_counts import COUNTS_PER_BLOCK, draw_counts
from polytask.statistics.studentize import studentize, studentize_batch


def test_counts_are_resamples_in_blocks() -> None:
    blocks = list(draw_counts(5000, 1000, (1, 2)))
    assert len(blocks) > 1
    assert all(b.size <= COUNTS_PER_BLOCK for b in blocks)
    counts = np.concatenate(blocks)
    assert counts.shape == (1000, 5000)
    assert (counts.sum(1) == 5000).all()
    assert counts.mean() == 1
    assert counts.var() == pytest.approx(1 - 1 / 5000, abs=0.01)  # of B(n, 1/n)
    again = np.concatenate(list(draw_counts(5000, 1000, (1, 2))))
    assert (again == counts).all()
    assert (next(draw_counts(5000, 1000, (1, 3))) != blocks[0]).any()


def test_all_resamples_of_four_subjects_by_hand() -> None:
    """Every one of the 4⁴ resamples by the formula: (x̄* − x̄) / √(3/4 s*²/4 + 1/4 s²/4), s² with n − 1."""
    x = np.array([0.0, 1.0, 3.0, 10.0])
    every = np.array(list(product(range(4), repeat=4)))
    counts = np.stack([(every == k).sum(1) for k in range(4)], 1).astype(float)
    found = studentize_batch([x[None]], [1.0], [[counts[:100], counts[100:]]])[0]
    drawn = x[every]
    variance = 0.75 * drawn.var(1, ddof=1) / 4 + 0.25 * x.var(ddof=1) / 4
    assert found == pytest.approx((drawn.mean(1) - x.mean()) / np.sqrt(variance))


def test_folds_are_drawn_apart_and_weigh() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=30), 100 + rng.normal(size=20)
    both = studentize([x, y], [0.6, 0.4], 4000)
    assert both.mean() == pytest.approx(0, abs=0.1)
    assert both.std() == pytest.approx(1, abs=0.1)  # the folds' distance of 100 plays no part
    only_x = studentize([x, np.zeros(20)], [0.6, 0.4], 4000)
    alone = studentize([x], [1.0], 4000)
    assert np.quantile(only_x, [0.025, 0.975]) == pytest.approx(np.quantile(alone, [0.025, 0.975]), rel=0.1)


def test_resamples_of_one_value_are_far_but_not_endless() -> None:
    x = np.full(40, 2.6)
    x[0] = -30
    found = studentize([x], [1.0])
    assert np.isfinite(found).all()
    assert (found > 5).mean() == pytest.approx((39 / 40) ** 40, abs=0.02)  # those without the one
    assert (studentize([np.ones(9)], [1.0]) == 0).all()


def test_there_are_as_many_resamples_as_asked_for_unless_subjects_are_thousands() -> None:
    x = np.random.default_rng(0).normal(size=40)
    assert studentize([x], [1.0], resamples=3000).shape == (3000,)
    many = np.random.default_rng(0).normal(size=4000)
    assert studentize([many, many], [0.5, 0.5], resamples=3000).shape == (1998,)


def test_two_folds_of_two_subjects_by_hand() -> None:
    """Fold 1 draws both subjects once, fold 2 one of them twice: mean −1/2, variance 3/4 · 1/4 + 1/4 · 1/2."""
    pair, once, twice = np.array([[0.0, 2.0]]), np.array([[1.0, 1.0]]), np.array([[2.0, 0.0]])
    ratios = studentize_batch([pair, pair], [0.5, 0.5], [[once], [twice]])
    assert ratios.item() == pytest.approx(-0.5 / np.sqrt(0.3125))
