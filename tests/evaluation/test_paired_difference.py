from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.paired_difference import correct_share_correlation, subtract_paired
from polytask.statistics.delong import auc_covariance

R = np.random.default_rng(0)


def of(n: int) -> MetricCalculator:
    return MetricCalculator(n, np.arange(n), 2000)


def test_of_means_it_is_a_paired_t_interval_when_nothing_is_skewed() -> None:
    base = R.normal(size=200)
    x, y = 5 + base + 0.1 * R.normal(size=200), 5 + base + 0.1 * R.normal(size=200)
    found = subtract_paired(of(200).mean(x), of(200).mean(y), 4000)
    expected = stats.ttest_rel(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.0015)


def test_of_areas_it_is_delongs_for_many() -> None:
    truth = np.arange(400) % 2 == 0
    first = R.normal(size=400) + truth
    second = 0.6 * first + 0.5 * R.normal(size=400)
    values, covariance = auc_covariance(truth, np.stack([first, second]))
    error = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    found = subtract_paired(of(400).area(first, truth), of(400).area(second, truth), 4000)
    assert found.estimate == pytest.approx(values[0] - values[1])
    expected = (found.estimate - 1.96 * error, found.estimate + 1.96 * error)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.15 * error)


def test_the_same_answers_differ_by_nothing() -> None:
    measured = of(40).area(R.normal(size=40), np.arange(40) % 2 == 0)
    found = subtract_paired(measured, measured)
    assert (found.estimate, found.low, found.high) == (0, 0, 0)


def test_two_that_are_always_right_are_not_known_to_be_equal() -> None:
    """A perfect order of 15 and 15 is seen often where the true areas are 0.99 and 0.98."""
    truth = np.arange(30) % 2 == 0
    perfect = of(30).area(truth + 0.1 * R.random(30), truth)
    found = subtract_paired(perfect, of(30).area(truth + 0.1 * R.random(30), truth))
    assert found.estimate == 0
    assert found.low < -0.05
    assert found.high > 0.05


def test_of_paired_shares_it_is_newcombes() -> None:
    """Newcombe 1998 (Statistics in Medicine 17:2635), method 10: his example, and one worked by hand."""
    for (both, first, second, neither), low, high in PAIRED:
        counts = (both, first, second, neither)
        a, b = (np.repeat(x, counts) for x in ([1, 1, 0, 0], [1, 0, 1, 0]))
        n = sum(counts)
        found = subtract_paired(of(n).share(a), of(n).share(b))
        assert found.estimate == pytest.approx((first - second) / n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


PAIRED = [((36, 12, 2, 0), 0.0569, 0.3404), ((53, 0, 0, 1), -0.0729, 0.0729)]


def test_all_right_against_nearly_all_right_is_not_certain() -> None:
    truth = np.arange(40) % 2 == 0
    nearly = truth + np.where(np.arange(40) == 3, 1.5, 0.0)
    found = subtract_paired(of(40).area(truth, truth), of(40).area(nearly, truth))
    assert 0 < found.estimate < 0.06
    assert found.low < 0 < found.high


def test_floors_of_both_and_of_the_difference() -> None:
    few = of(19).share(np.ones(19))
    assert few.shortage == ""
    assert subtract_paired(few, of(19).share(np.arange(19) > 3)).shortage == "too few: 19 subjects, 20 needed"
    short = of(40).area(np.arange(40.0), np.arange(40) < 14)
    assert subtract_paired(short, short).shortage == "too few: 14 subjects of each class, 15 needed"


def test_nineteen_subjects_tell_no_difference_of_shares() -> None:
    for n, there in ((20, True), (19, False)):
        found = subtract_paired(of(n).share(np.arange(n) < 12), of(n).share(np.arange(n) < 9))
        assert np.isfinite(found.low) == there
        assert found.shortage == ("" if there else "too few: 19 subjects, 20 needed")
    few = subtract_paired(of(9).share(np.arange(9) < 5), of(9).share(np.arange(9) < 4))
    assert few.shortage == "too few: 9 subjects, 10 needed", "the floor of each comes first"


def test_shares_that_go_together_are_taken_to_do_so_a_little_less() -> None:
    """Of 20 the first 10 and the first 12 are right: both 10, one 0, other 2, neither 8."""
    mine, other = of(20).share(np.arange(20) < 10), of(20).share(np.arange(20) < 12)
    spread = np.sqrt(0.5 * 0.5 * 0.6 * 0.4)
    plain = (10 / 20 - 0.5 * 0.6) / spread
    found = correct_share_correlation(mine, other)
    assert found[0, 1] == found[1, 0] == pytest.approx(plain - 1 / (2 * 20 * spread))
    apart = correct_share_correlation(mine, of(20).share(np.arange(20) >= 10))
    assert apart[0, 1] == pytest.approx(-1.0), "what is against each other stays"
    sure = correct_share_correlation(mine, of(20).share(np.ones(20)))
    assert sure[0, 1] == 0.0
