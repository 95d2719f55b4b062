from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.variance import EffectVariance, split_covariance, split_variance

R = np.random.default_rng(3)


def of(folds: list[np.ndarray], weights: list[float] | None = None) -> EffectVariance:
    """Of folds `[subjects, seeds]`."""
    w = np.array([len(f) for f in folds] if weights is None else weights, float)
    return split_variance([f.T for f in folds], (w / w.sum()).tolist())


def t_and_p(found: EffectVariance) -> tuple[float, float]:
    """By Student's t with its own degrees of freedom."""
    t = float(found.estimate / found.error)
    return t, float(2 * stats.t.sf(abs(t), found.freedom()))


def test_one_fold_is_the_two_way_layout_with_both_factors_random() -> None:
    """MS_subjects + MS_seeds − MS_rest, over nS: unbiased whatever the interaction."""
    n, s = 30, 4
    d = R.normal(size=(n, 1)) + 0.9 * R.normal(size=(1, s)) + 0.8 * R.normal(size=(n, s))
    mean, rows, columns = d.mean(), d.mean(1), d.mean(0)
    a = s * ((rows - mean) ** 2).sum() / (n - 1)
    b = n * ((columns - mean) ** 2).sum() / (s - 1)
    c = ((d - rows[:, None] - columns + mean) ** 2).sum() / ((n - 1) * (s - 1))
    found = of([d])
    assert a > c
    assert float(found.error) ** 2 == pytest.approx((a + b - c) / (n * s))
    assert float(found.subjects) == pytest.approx((a - c) / (n * s))
    assert float(found.seeds) == pytest.approx(b / (n * s))


def test_the_interaction_is_counted_once() -> None:
    """Only interaction: the mean of the variance is the truth; the plain sum of the subjects' variance and the
    trainings' would be twice as much."""
    n, s = 20, 3
    truth = 1 / (n * s)
    one = [of([R.normal(size=(n, s))]) for _ in range(2000)]
    assert 1 <= np.mean([float(f.error) ** 2 for f in one]) / truth < 1.42  # luck is never below 0: 1 + 1/e
    five = [of([R.normal(size=(n, s)) for _ in range(5)]) for _ in range(500)]
    assert 1 <= np.mean([float(f.error) ** 2 for f in five]) / (truth / 5) < 1.25


def test_subjects_whose_seeds_cancel_are_no_proof() -> None:
    """Every subject gains as much under one seed as it loses under the other."""
    gain = R.normal(size=20)
    found = of([np.stack([1 + gain, 1 - gain], axis=1)])
    assert float(found.estimate) == pytest.approx(1)
    assert float(found.error) ** 2 == pytest.approx(gain.var(ddof=1) / 20 / 2, rel=0.35)


def test_one_seed_and_one_fold_is_the_paired_t_test() -> None:
    d = R.normal(0.3, 1, size=(25, 1))
    found = of([d])
    outside = stats.ttest_1samp(d[:, 0], 0)
    assert t_and_p(found) == pytest.approx((outside.statistic, outside.pvalue))
    assert float(found.freedom()) == outside.df
    assert np.isnan(found.seeds)


def test_only_seeds_differ_is_welch_s_t_test_of_the_trainings() -> None:
    """Two folds of three trainings: against Welch's test of one group against another whose sign is turned, whose
    degrees of freedom are taken between it and those of equal luck."""
    one, two = np.array([0.4, -0.1, 0.9]), np.array([3.0, -2.0, 1.1])
    found = of([np.tile(one, (10, 1)), np.tile(two, (10, 1))])
    outside = stats.ttest_ind(one, -two, equal_var=False)
    assert t_and_p(found)[0] == pytest.approx(outside.statistic)
    assert float(found.by_seeds) == pytest.approx(outside.df ** (2 / 3) * 4 ** (1 / 3))
    assert float(found.luck) == 1
    assert float(found.retraining) == 0


def test_the_trainings_of_folds_are_their_own() -> None:
    by_fold = [np.array([0.0, 2.0, 4.0]), np.array([1.0, 1.0, 4.0])]
    found = of([np.tile(x, (10, 1)) for x in by_fold])
    assert float(found.error) ** 2 == pytest.approx((4 + 3) / 4 / 3)
    own = 2 * (4 + 3) ** 2 / (4**2 + 3**2)
    assert float(found.by_seeds) == pytest.approx(own ** (2 / 3) * 4 ** (1 / 3))
    uneven = of([np.tile(x, (10, 1)) for x in by_fold], [3, 1])
    assert float(uneven.error) ** 2 == pytest.approx((9 * 4 + 1 * 3) / 16 / 3)
    still = of([np.tile(by_fold[0], (10, 1)), np.zeros((10, 3))])
    assert float(still.by_seeds) == pytest.approx(2 ** (2 / 3) * 4 ** (1 / 3))


def test_folds_weigh_by_cases_and_have_variances_of_their_own() -> None:
    folds = [R.normal(1, 1, (20, 1)), R.normal(3, 2, (10, 1))]
    found = of(folds, weights=[30, 10])
    parts = [f.var(ddof=1) / len(f) for f in folds]
    assert float(found.estimate) == pytest.approx(0.75 * folds[0].mean() + 0.25 * folds[1].mean())
    assert float(found.error) ** 2 == pytest.approx(0.75**2 * parts[0] + 0.25**2 * parts[1])
    assert float(found.freedom()) == 28


def test_a_batch_of_studies_is_each_of_them() -> None:
    d = R.normal(size=(5, 2, 12, 3))
    many = split_variance([d[:, k].swapaxes(-1, -2) for k in range(2)], [0.5, 0.5])
    for k in range(5):
        one = of(list(d[k]))
        for name in ("estimate", "subjects", "seeds", "error", "luck", "retraining", "by_seeds"):
            assert getattr(many, name)[k] == pytest.approx(float(getattr(one, name)))
        assert many.freedom()[k] == pytest.approx(float(one.freedom()))


def test_the_trainings_are_never_surer_than_their_subjects() -> None:
    """Trainings that agree in their means by chance, while each moves single subjects."""
    d = R.normal(size=(40, 3))
    d -= d.mean(0)
    found = of([d])
    assert float(found.error) ** 2 == pytest.approx(d.mean(1).var(ddof=1) / 40)
    assert float(found.luck) == 0
    assert float(found.retraining) == 0
    ranks = split_variance([d.T], [1.0], [np.zeros((3, 3))])
    assert float(ranks.retraining) > 0.3


def test_no_difference_at_all_has_no_variance() -> None:
    for seeds in (1, 3):
        found = of([np.zeros((10, seeds))] * 2)
        assert float(found.error) == float(found.estimate) == float(found.luck) == 0


def test_the_freedom_of_the_whole_by_hand() -> None:
    """A quarter of the variance has 4 degrees of freedom, the rest 10: 1 / (¼²/4 + ¾²/10)."""
    one = np.array(1.0)
    found = EffectVariance(one, one, one, 10.0, np.array(4.0), np.array(0.25), np.array(0.0))
    assert float(found.freedom()) == pytest.approx(1 / (0.25**2 / 4 + 0.75**2 / 10))


def test_no_more_than_half_of_the_variance_is_taken_off_for_the_pairs() -> None:
    fold = R.normal(size=(1, 20))
    whole, _ = split_covariance(fold)
    half, _ = split_covariance(fold, np.full((1, 1), 100 * whole))
    assert half == pytest.approx(whole / 2)
    less, _ = split_covariance(fold, np.full((1, 1), 0.4 * whole))
    assert less == pytest.approx(0.6 * whole)
