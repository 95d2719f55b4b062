from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.auc_interval import find_auc_interval, sum_by_rank

# Hanley and McNeil 1982, Table I: ratings 1 to 5 of 58 normal and 51 abnormal images; area 0.893, standard error 0.032.
NORMAL, ABNORMAL = (33, 6, 6, 11, 2), (3, 2, 2, 11, 33)
SCORES = np.r_[np.repeat(np.arange(5), NORMAL), np.repeat(np.arange(5), ABNORMAL)].astype(float)
TRUTH = np.arange(109) >= 58


def test_hanley_and_mcneils_published_example() -> None:
    low, high = find_auc_interval(SCORES, TRUTH, resamples=4000)
    assert (high - low) / (2 * 1.96) == pytest.approx(0.032, abs=0.004)
    assert low == pytest.approx(0.893 - 1.96 * 0.032, abs=0.025)
    assert 0.893 < high < 0.96


@pytest.mark.parametrize(("each", "most"), [(5, 0.75), (15, 0.92), (100, 0.99)])
def test_all_ordered_right_is_not_certainty(each: int, most: float) -> None:
    low, high = find_auc_interval(np.arange(2 * each), np.arange(2 * each) >= each, resamples=2000)
    assert 0.3 < low < most
    assert high == 1
    assert find_auc_interval(-np.arange(2.0 * each), np.arange(2 * each) >= each, resamples=2000)[0] == 0


def test_coverage_at_the_bound() -> None:
    """An area of 0.97 from 15 of each class: the percentile bootstrap holds it in about 80 % of the studies."""
    random, held, truth = np.random.default_rng(0), 0, np.arange(30) < 15
    for _ in range(300):
        low, high = find_auc_interval(random.normal(size=30) + 2.66 * truth, truth, resamples=300)
        held += low <= 0.97 <= high
    assert held / 300 > 0.93


def test_visits_of_a_subject_are_drawn_together() -> None:
    random = np.random.default_rng(1)
    truth = np.arange(40) % 2 == 0
    scores = random.normal(size=40) + truth
    low, high = find_auc_interval(scores, truth, resamples=2000)
    again = find_auc_interval(
        np.repeat(scores, 6), np.repeat(truth, 6), np.repeat(np.arange(40), 6), resamples=2000
    )
    assert again == pytest.approx((low, high), abs=0.02)
    alone = find_auc_interval(np.repeat(scores, 6), np.repeat(truth, 6), resamples=2000)
    assert high - low > 1.8 * (alone[1] - alone[0])


def test_undefined() -> None:
    assert np.isnan(find_auc_interval([1.0, 2.0], [True, True])).all()
    assert np.isnan(find_auc_interval([1.0, np.nan], [True, False])).all()


def test_columns_are_summed_by_place() -> None:
    values = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    assert sum_by_rank(values, np.array([3, 0, 3]), 4).tolist() == [[2, 0, 0, 5], [16, 0, 0, 40]]
