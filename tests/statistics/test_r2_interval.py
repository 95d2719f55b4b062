from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.r2_interval import find_r2_interval

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
