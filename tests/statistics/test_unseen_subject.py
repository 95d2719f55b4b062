from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from polytask.statistics.unseen_subject import (
    UNSEEN_WEIGHT,
    draw_weights,
    find_bounded_mean_interval,
    find_interval_ends,
)


@pytest.mark.parametrize("hits", [13, 19, 5])
def test_of_a_share_it_is_a_beta_distribution(hits: int) -> None:
    """Sums of exponential weights are gamma, their ratio beta: Beta(hits, misses + ½) and Beta(hits + ½, misses)."""
    n = 20
    low, high = find_bounded_mean_interval(np.arange(n) < hits, np.ones(n), resamples=40_000)
    assert low == pytest.approx(beta.ppf(0.025, hits, n - hits + UNSEEN_WEIGHT), abs=0.006)
    assert high == pytest.approx(beta.ppf(0.975, hits + UNSEEN_WEIGHT, n - hits), abs=0.006)


def test_all_alike_is_not_certainty_and_stays_within_bounds() -> None:
    low, high = find_bounded_mean_interval(np.ones(20), np.ones(20), resamples=4000)
    assert low == pytest.approx(beta.ppf(0.025, 20, 0.5), abs=0.01)
    assert high == 1
    assert find_bounded_mean_interval(np.zeros(20), np.ones(20))[0] == 0
    assert np.isnan(find_bounded_mean_interval([0.5], [1])).all()


def test_subjects_without_a_case_change_nothing() -> None:
    values = np.random.default_rng(0).random(30)
    padded = find_bounded_mean_interval(np.r_[values, 7, 7], np.r_[np.ones(30), 0, 0])
    assert padded == find_bounded_mean_interval(values, np.ones(30))


def test_dice_with_missed_lesions_is_covered() -> None:
    """6 % missed: the percentile bootstrap holds the truth in 78 % of samples of 20 and 70 % of 8."""
    random, held, percentile = np.random.default_rng(3), 0, 0
    for _ in range(400):
        values = np.where(random.random(20) < 0.06, 0.0, random.beta(17, 3, 20))
        low, high = find_bounded_mean_interval(values, np.ones(20), resamples=400)
        held += low <= 0.94 * 0.85 <= high
        drawn = values[random.integers(0, 20, (400, 20))].mean(1)
        percentile += np.quantile(drawn, 0.025) <= 0.94 * 0.85 <= np.quantile(drawn, 0.975)
    assert held / 400 > 0.93
    assert percentile / 400 < 0.85


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polytask.statistics.unseen_subject.WEIGHTS_PER_BLOCK", 70)
    blocks = list(draw_weights(10, 25, 0, unseen=2))
    assert [w.shape for w, _ in blocks] == [(7, 10), (7, 10), (7, 10), (4, 10)]
    assert {u.shape[1] for _, u in blocks} == {2}


def test_undefined_resamples_are_left_out() -> None:
    nan = float("nan")
    assert find_interval_ends(np.array([nan, 1.0, 1.0]), np.array([2.0, nan])) == (1, 2)
    assert np.isnan(find_interval_ends(np.array([nan]), np.array([1.0]))).all()
