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


def test_an_interval_by_its_definition() -> None:
    """Each resample with an unseen subject that has the mean count of cases, all at a bound."""
    sums, counts = np.array([1.0, 4.0, 2.0, 0.0]), np.array([1.0, 3.0, 2.0, 1.0])
    lower, upper = [], []
    for drawn, unseen in draw_weights(4, 60, 5):
        for weights, (part,) in zip(drawn, unseen, strict=True):
            extra = part * counts.mean()
            ends = [(weights @ sums + extra * bound) / (weights @ counts + extra) for bound in (-1.0, 3.0)]
            lower.append(ends[0])
            upper.append(ends[1])
    expected = np.quantile(lower, 0.05), np.quantile(upper, 0.95)
    assert find_bounded_mean_interval(sums, counts, (-1.0, 3.0), 0.9, 60, 5) == pytest.approx(expected)
    assert np.isfinite(find_bounded_mean_interval(sums[:2], counts[:2])).all()


def test_unseen_subjects_have_half_a_weight_together() -> None:
    alone = np.concatenate([u for _, u in draw_weights(3, 20_000, 0)])
    two = np.concatenate([u for _, u in draw_weights(3, 20_000, 0, unseen=2)])
    twice = np.concatenate([u for _, u in draw_weights(3, 20_000, 0, weight_factor=2.0)])
    seen = np.concatenate([w for w, _ in draw_weights(3, 20_000, 0)])
    assert [float(x.mean()) for x in (alone, twice, seen)] == pytest.approx([0.5, 1.0, 1.0], abs=0.03)
    assert two.mean(0) == pytest.approx([0.25, 0.25], abs=0.02)
    assert alone.shape == (20_000, 1)


def test_ends_are_quantiles_of_the_level() -> None:
    values = np.arange(101.0)
    assert find_interval_ends(values, values) == pytest.approx((2.5, 97.5))
    assert find_interval_ends(values, values, 0.9) == pytest.approx((5.0, 95.0))
