from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.variance import variance

R = np.random.default_rng(3)


def exact(fold: np.ndarray) -> np.ndarray:
    """What infinitely many resamples of `fold [subjects, seeds]` would say of the covariance of seeds' means."""
    return np.atleast_2d(np.cov(fold, rowvar=False)) / len(fold)


def of(folds: list[np.ndarray], seeds: str = "crossed", weights: list[float] | None = None):  # type: ignore[no-untyped-def]
    n = np.array([len(f) for f in folds], float)
    w = n if weights is None else np.array(weights)
    return variance(np.stack([f.mean(0) for f in folds]), np.stack([exact(f) for f in folds]), n, w, seeds)  # type: ignore[arg-type]


def test_one_fold_is_the_two_way_layout_with_both_factors_random() -> None:
    """MS_subjects + MS_seeds − MS_rest, over nS: unbiased whatever the interaction."""
    n, s = 30, 4
    d = R.normal(size=(n, 1)) + 0.5 * R.normal(size=(1, s)) + 0.8 * R.normal(size=(n, s))
    mean, rows, columns = d.mean(), d.mean(1), d.mean(0)
    a = s * ((rows - mean) ** 2).sum() / (n - 1)
    b = n * ((columns - mean) ** 2).sum() / (s - 1)
    c = ((d - rows[:, None] - columns + mean) ** 2).sum() / ((n - 1) * (s - 1))
    found = of([d])
    assert a > c
    assert float(found.uncertainty.error) ** 2 == pytest.approx((a + b - c) / (n * s))
    assert float(found.subjects) == pytest.approx(a / (n * s))
    assert float(found.seeds) == pytest.approx(b / (n * s))


def test_the_sum_of_both_counts_the_interaction_twice() -> None:
    """Only interaction: the mean of the model's variance is the truth, that of the plain sum is twice as much."""
    n, s = 20, 3
    total, plain = [], []
    for _ in range(2000):
        found = of([R.normal(size=(n, s))])
        total.append(float(found.seeds) + float(found.subjects))
        plain.append(float(found.uncertainty.error) ** 2)
    truth = 1 / (n * s)
    assert np.mean(total) / truth == pytest.approx(2, abs=0.1)
    assert 1 <= np.mean(plain) / truth < 1.25  # the part that may not fall below 0 adds a little


def test_one_seed_and_one_fold_is_the_paired_t_test() -> None:
    d = R.normal(0.3, 1, size=(25, 1))
    found = of([d])
    t = float(found.estimate) / float(found.uncertainty.error)
    outside = stats.ttest_1samp(d[:, 0], 0)
    assert t == pytest.approx(outside.statistic)
    assert float(found.uncertainty.freedom()) == outside.df
    assert np.isnan(found.seeds)


def test_only_seeds_differ_is_the_t_test_over_seeds() -> None:
    by_seed = np.array([0.4, -0.1, 0.9])
    found = of([np.tile(by_seed, (10, 1)), np.tile(by_seed + 0.2, (10, 1))])
    outside = stats.ttest_1samp(by_seed + 0.1, 0)
    assert float(found.estimate) / float(found.uncertainty.error) == pytest.approx(outside.statistic)
    assert float(found.uncertainty.freedom()) == pytest.approx(2)
    assert float(found.uncertainty.p(found.estimate)) == pytest.approx(outside.pvalue)


def test_nested_seeds_are_pooled_over_folds() -> None:
    by_fold = [np.array([0.0, 2.0, 4.0]), np.array([1.0, 1.0, 4.0])]
    found = of([np.tile(x, (10, 1)) for x in by_fold], "nested")
    assert float(found.uncertainty.error) ** 2 == pytest.approx((4 + 3) / 4 / 3)
    assert float(found.uncertainty.freedom()) == pytest.approx(4)
    uneven = of([np.tile(x, (10, 1)) for x in by_fold], "nested", [3, 1])
    assert float(uneven.uncertainty.error) ** 2 == pytest.approx((9 * 4 + 1 * 3) / 16 / 3)
    assert float(uneven.uncertainty.freedom()) == pytest.approx(2 * 10**2 / 82)


def test_folds_weigh_by_cases_and_have_variances_of_their_own() -> None:
    folds = [R.normal(1, 1, (20, 1)), R.normal(3, 2, (10, 1))]
    found = of(folds, weights=[30, 10])
    parts = [f.var(ddof=1) / len(f) for f in folds]
    assert float(found.estimate) == pytest.approx(0.75 * folds[0].mean() + 0.25 * folds[1].mean())
    assert float(found.uncertainty.error) ** 2 == pytest.approx(0.75**2 * parts[0] + 0.25**2 * parts[1])
    assert float(found.uncertainty.freedom()) == 28


def test_a_batch_of_studies_is_each_of_them() -> None:
    d = R.normal(size=(5, 2, 12, 3))
    n = np.array([12.0, 12.0])
    spread = np.stack([np.stack([exact(f) for f in one]) for one in d])
    many = variance(d.mean(2), spread, n, n)
    for k in range(5):
        one = of(list(d[k]))
        for name in ("estimate", "subjects", "seeds"):
            assert getattr(many, name)[k] == pytest.approx(float(getattr(one, name)))
        both = many.uncertainty, one.uncertainty
        for alpha in (0.05, 0.001):
            assert both[0].freedom(alpha)[k] == pytest.approx(float(both[1].freedom(alpha)))
            assert both[0].margin(alpha)[k] == pytest.approx(float(both[1].margin(alpha)))
        assert both[0].p(many.estimate)[k] == pytest.approx(float(both[1].p(one.estimate)))


def test_no_difference_at_all_has_no_variance() -> None:
    for seeds in (1, 3):
        found = of([np.zeros((10, seeds))] * 2)
        assert float(found.uncertainty.error) == float(found.estimate) == 0
        assert float(found.uncertainty.p(found.estimate)) == 1
