from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.r2_interval import find_r2_interval
from polytask.statistics.unseen_subject import draw_weights

R = np.random.default_rng(0)


def test_interval_of_many_is_that_of_the_large_sample() -> None:
    truth = R.normal(size=4000)
    squares = (0.5 * R.normal(size=4000)) ** 2
    r2 = 1 - squares.sum() / ((truth - truth.mean()) ** 2).sum()
    influence = ((1 - r2) * (truth - truth.mean()) ** 2 - squares) / ((truth - truth.mean()) ** 2).sum()
    error = np.sqrt((influence**2).sum())
    low, high = find_r2_interval(squares, truth, np.arange(4000))
    assert (low, high) == pytest.approx((r2 - 1.96 * error, r2 + 1.96 * error), abs=0.35 * error)


def test_visits_of_a_subject_are_drawn_together_and_bounds_are_kept() -> None:
    truth, squares = R.normal(size=60), R.random(60)
    once = find_r2_interval(squares, truth, np.arange(60))
    again = find_r2_interval(np.repeat(squares, 4), np.repeat(truth, 4), np.repeat(np.arange(60), 4))
    assert again == pytest.approx(once)
    assert find_r2_interval(np.zeros(30), truth[:30], np.arange(30))[1] == 1
    assert np.isnan(find_r2_interval([1.0], [1.0], [0])).all()


def test_rare_large_errors_are_allowed_for() -> None:
    held = 0
    for _ in range(150):
        truth = R.normal(size=60)
        squares = (0.6 * R.standard_t(3, 60) / np.sqrt(3)) ** 2
        low, high = find_r2_interval(squares, truth, np.arange(60), resamples=300)
        held += low <= 1 - 0.36 <= high
    assert held / 150 > 0.88


def test_an_interval_by_its_definition() -> None:
    """Each resample with an unseen subject, answered right or with twice the largest squared error."""
    truth, squares, owner = R.normal(size=12), R.random(12), np.arange(12) // 2
    apart = truth - truth.mean()
    lower, upper = [], []
    for drawn, unseen in draw_weights(6, 60, 5):
        for weights, (part,) in zip(drawn, unseen, strict=True):
            each, extra = weights[owner], 2 * part
            spread = each @ apart**2 - (each @ apart) ** 2 / each.sum() + extra * (apart**2).mean()
            lower.append(1 - (each @ squares + extra * 2 * squares.max()) / spread)
            upper.append(1 - each @ squares / spread)
    expected = np.quantile(lower, 0.05), min(1.0, np.quantile(upper, 0.95))
    assert find_r2_interval(squares, truth, owner, 0.9, 60, 5) == pytest.approx(expected)


def test_two_subjects_are_the_fewest() -> None:
    assert np.isfinite(find_r2_interval([1.0, 0.5], [1.0, 2.0], [0, 1])).all()
    assert np.isnan(find_r2_interval([1.0, 0.5], [1.0, 2.0], [0, 0])).all()


def test_truths_that_do_not_vary_have_no_interval() -> None:
    assert np.isnan(find_r2_interval([1.0, 0.5, 0.2], [2.0, 2.0, 2.0], [0, 1, 2])).all()
