from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats

from polytask.errors import PolytaskError
from polytask.statistics.mean_interval import find_mean_interval
from polytask.statistics.resample_counts import draw_counts

R = np.random.default_rng(11)


def test_without_skew_it_is_student_s_t() -> None:
    x = np.concatenate([0.4 + (half := np.abs(R.normal(size=30))), 0.4 - half])
    found, outside = find_mean_interval(x), stats.ttest_1samp(x, 0)
    assert found.estimate == pytest.approx(x.mean())
    assert found.p == pytest.approx(outside.pvalue, rel=0.15)
    low, high = outside.confidence_interval()
    assert found.low <= low + 1e-3 * (high - low)
    assert found.high >= high - 1e-3 * (high - low)
    assert found.high - found.low < 1.04 * (high - low)


def test_few_who_lose_much_take_the_word_away() -> None:
    """Two of 60 lose 30 points and the others gain 2.6: Student's t is sure, but other samples have none or five."""
    x = 2.6 + 0.3 * R.normal(size=60)
    x[:2] = -30
    assert stats.ttest_1samp(x, 0).pvalue < 0.1
    found = find_mean_interval(x)
    assert found.p > 0.1
    assert found.estimate - found.low > 2 * (found.high - found.estimate)


def test_few_who_gain_much_are_no_better_evidence_than_in_a_t_test() -> None:
    x = np.zeros(60)
    x[:3] = 30, 31, 32
    outside = stats.ttest_1samp(x, 0)
    found = find_mean_interval(x)
    assert found.p >= outside.pvalue > 0.05
    assert found.low <= outside.confidence_interval().low + 1e-9


@pytest.mark.parametrize("shift", [-1.0, -0.35, 0.0, 0.25, 0.3, 0.6])
def test_interval_and_p_say_the_same_at_every_level(shift: float) -> None:
    x = R.exponential(size=25) - 1 + shift
    for comparisons in (1, 2, 3, 7, 20, 50):
        level = 1 - 0.05 / comparisons
        found = find_mean_interval(x, level=level)
        assert (found.p <= 0.05 / comparisons) == (found.low > 0 or found.high < 0)


def test_sign_scale_order_and_seed() -> None:
    x = R.gamma(1.0, size=30) - 0.6
    found = find_mean_interval(x)
    assert find_mean_interval(x) == found
    turned = find_mean_interval(-x)
    assert (turned.low, turned.high, turned.p) == pytest.approx((-found.high, -found.low, found.p))
    larger = find_mean_interval(1000 * x)
    assert (larger.low, larger.high) == pytest.approx((1000 * found.low, 1000 * found.high))
    assert larger.p == found.p
    assert find_mean_interval(R.permutation(x)) == pytest.approx(found, rel=1e-12)
    assert find_mean_interval(x, seed=1) != found
    assert find_mean_interval(x, seed=1) == pytest.approx(found, rel=0.1, abs=0.01)


def test_visits_of_a_subject_are_no_independent_evidence() -> None:
    x = R.normal(0.4, 1, size=20)
    once, often = find_mean_interval(x), find_mean_interval(5 * x, np.full(20, 5))
    assert often == pytest.approx(once)
    counts = R.integers(1, 6, size=20)
    uneven = find_mean_interval(x * counts, counts)
    assert uneven.estimate == pytest.approx(np.average(x, weights=counts))
    assert find_mean_interval([*(x * counts), np.nan], [*counts, 0]) == pytest.approx(uneven)


def test_no_difference_at_all_and_too_few_subjects() -> None:
    assert find_mean_interval(np.zeros(9)) == (0, 0, 0, 1)
    same = find_mean_interval(np.ones(9))
    assert same[:3] == (1, 1, 1)
    assert np.isnan(same.p)
    assert np.isnan(find_mean_interval([2.0])[1:]).all()
    assert np.isnan(find_mean_interval([])).all()
    for sums, counts in (([1.0, np.nan], None), ([1.0, 2.0], [1.0]), ([1.0, 2.0], [1, -1])):
        with pytest.raises(PolytaskError, match="give finite sums and counts"):
            find_mean_interval(sums, counts)


def test_coverage_of_skewed_means() -> None:
    """Exponential, n = 30: Student's t errs in one tail in 7 of 100; here both tails together stay near 5."""
    draws = np.random.default_rng(0).exponential(size=(80, 30))
    found = [find_mean_interval(x, resamples=998) for x in draws]
    missed = np.mean([not f.low <= 1 <= f.high for f in found])
    assert 0.01 <= missed <= 0.1
    t = [stats.ttest_1samp(x, 1).pvalue <= 0.05 for x in draws]
    assert missed < np.mean(t)


@pytest.mark.parametrize(("n", "fewest"), [(4000, 1_998), (100_000, 1_998)])
def test_of_thousands_of_subjects_no_more_are_drawn_in_all(
    n: int, fewest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9,998 resamples of 4,000 subjects would draw 40 million."""
    asked = []

    def counted(subjects: int, resamples: int, seed: object) -> Iterator[np.ndarray]:
        asked.append((subjects, resamples))
        return draw_counts(subjects, 20, seed)

    monkeypatch.setattr("polytask.statistics.studentize.draw_counts", counted)
    find_mean_interval(R.normal(size=n))
    assert asked == [(n, max(fewest, 10_000_000 // n))]


def test_thousands_of_subjects_are_judged_as_by_student_s_t() -> None:
    x = R.normal(size=4000)
    found = find_mean_interval(x)
    low, high = stats.ttest_1samp(x, 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_survival_of_mice() -> None:
    """Control group of Efron and Tibshirani 1993, table 2.1; their bootstrap-t (section 12.5) has the 5 and 95 %
    points −4.53 and 1.53, and the 90 % interval 35.82 to 116.74, from 1,000 resamples."""
    days = np.array([52.0, 104, 146, 10, 51, 30, 40, 27, 46])
    counts = next(draw_counts(9, 9998, 3))
    mean = counts @ days / 9
    error = np.sqrt((counts @ days**2 / 9 - mean**2) / 9)
    points = np.quantile((mean - days.mean())[error > 0] / error[error > 0], [0.05, 0.95])
    assert points == pytest.approx([-4.53, 1.53], rel=0.12)
    found, student = find_mean_interval(days, level=0.9), stats.ttest_1samp(days, 0).confidence_interval(0.9)
    assert student.high + 5 < found.high < 116.74 + 5
    assert found.low == pytest.approx(
        student.low, abs=0.5
    )  # the side that skew would shorten is not shortened
