from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.auc_interval import find_area_influence, find_auc_interval, sum_by_rank
from polytask.statistics.unseen_subject import draw_weights

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


def weigh(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> float:
    """The definition, each positive with each negative."""
    order = np.sign(scores[positive][:, None] - scores[~positive][None, :]) / 2 + 0.5
    pairs = weights[positive][:, None] * weights[~positive][None, :]
    return float((order * pairs).sum() / pairs.sum())


def test_influence_is_the_derivative_by_an_item_s_weight() -> None:
    random = np.random.default_rng(2)
    truth = np.arange(20) % 3 == 0
    scores, given = np.round(random.normal(size=20) + truth, 1), 1 + random.random(20)
    for own in (None, given):
        start = np.ones(20) if own is None else np.where(truth, own, 1.0)
        area, influence = find_area_influence(scores, truth, own)
        assert area == pytest.approx(weigh(scores, truth, start))
        for k in range(20):
            step = start.copy()
            step[k] += 1e-6 * start[k]
            assert influence[k] == pytest.approx((weigh(scores, truth, step) - area) / 1e-6, abs=1e-5)
    assert influence.sum() == pytest.approx(0)
    assert np.isnan(find_area_influence([1.0, 2.0], [True, True])[1]).all()
    assert np.isnan(find_area_influence([1.0, 2.0], [False, False])[0])


@pytest.mark.parametrize("weighed", [False, True])
def test_an_interval_by_its_definition(weighed: bool) -> None:
    """Each resample with an unseen positive and an unseen negative of the mean weight of one subject of their class."""
    random = np.random.default_rng(3)
    truth = np.arange(16) % 2 == 0
    scores, owner = np.round(random.normal(size=16) + truth, 1), np.arange(16) // 2 * 2 + truth
    own = 1 + random.random(16) if weighed else np.ones(16)
    subjects = np.unique(owner, return_inverse=True)[1]
    mean = own[truth].sum() / 8, 8 / 8
    ends = []
    for drawn, unseen in draw_weights(16, 50, 4, unseen=2):
        for weights, (more, less) in zip(drawn, unseen, strict=True):
            each = np.append(weights[subjects] * np.where(truth, own, 1.0), [more * mean[0], less * mean[1]])
            both = np.append(truth, [True, False])
            ends.append([weigh(np.append(scores, end), both, each) for end in ([-99.0, 99.0], [99.0, -99.0])])
    lower, upper = np.array(ends).T
    found = find_auc_interval(scores, truth, owner, own if weighed else None, 0.9, 50, 4)
    assert found == pytest.approx((np.quantile(lower, 0.05), np.quantile(upper, 0.95)))
