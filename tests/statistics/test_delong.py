from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from polytask.errors import PolytaskError
from polytask.statistics.delong import ScoredFold, auc_covariance, compare_by_delong


def test_by_hand() -> None:
    """Two positives, two negatives.

    First: 3 and 2 against 1 and 2.5. V10 = (1, ½), V01 = (1, ½): AUC ¾, variance ⅛/2 + ⅛/2.
    Second: 2 and 2 against 2 and 1. V10 = (¾, ¾), V01 = (½, 1): AUC ¾, variance 0 + ⅛/2; covariance 0 − ⅛/2.
    """
    truth = [True, True, False, False]
    found, covariance = auc_covariance(truth, [[3, 2, 1, 2.5], [2, 2, 2, 1]])
    assert found.tolist() == [0.75, 0.75]
    np.testing.assert_allclose(covariance, [[0.125, -0.0625], [-0.0625, 0.0625]])
    check = compare_by_delong(
        [ScoredFold(np.array(truth), np.array([[3, 2, 1, 2.5]]), np.array([[2, 1, 2, 1.0]]))]
    )
    # 2 and 1 against 2 and 1: V10 = (¾, ¼), V01 = (¼, ¾), AUC ½, variance ⅛, covariance with the first ⅛/2 − ⅛/2 = 0
    assert (check.estimate, check.statistic) == (pytest.approx(0.25), pytest.approx(0.25 / 0.5))
    assert check.p == pytest.approx(0.6171, abs=1e-4)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=9),
)
@settings(max_examples=80, deadline=None)
def test_mid_ranks_give_what_pairs_give(
    positive: list[tuple[int, int]], negative: list[tuple[int, int]]
) -> None:
    """The definition of 1988, over all pairs, with ties."""
    x, y = np.array(positive, float).T, np.array(negative, float).T
    wins = (x[:, :, None] > y[:, None, :]) + 0.5 * (x[:, :, None] == y[:, None, :])
    expected = np.cov(wins.mean(2)) / x.shape[1] + np.cov(wins.mean(1)) / y.shape[1]
    truth = np.repeat([True, False], [x.shape[1], y.shape[1]])
    found, covariance = auc_covariance(truth, np.concatenate([x, y], axis=1))
    np.testing.assert_allclose(found, wins.mean((1, 2)), atol=1e-12)
    np.testing.assert_allclose(covariance, expected, atol=1e-12)
    assert found[0] == pytest.approx(roc_auc_score(truth, np.concatenate([x, y], axis=1)[0]))


def two(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 3 == 0
    own = rng.normal(size=n)
    return truth, truth + np.stack([own + 0.5 * rng.normal(size=n), own + rng.normal(size=n)])


def test_variance_is_that_of_many_resamples() -> None:
    truth, s = two(0)
    _, covariance = auc_covariance(truth, s)
    rng = np.random.default_rng(1)
    places = [np.flatnonzero(truth), np.flatnonzero(~truth)]
    gaps = []
    for _ in range(3000):
        i = np.concatenate([rng.choice(p, len(p)) for p in places])
        a = auc_covariance(truth[i], s[:, i])[0]
        gaps.append(a[0] - a[1])
    expected = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    assert np.var(gaps) == pytest.approx(expected, rel=0.1)


def test_folds_and_seeds_as_the_effect() -> None:
    truth, s = two(0)
    cut = [slice(0, 100), slice(100, 300)]
    folds = [ScoredFold(truth[c], s[:1, c], s[1:, c]) for c in cut]
    gaps = [
        float(np.subtract(*auc_covariance(f.truth, np.concatenate([f.arm, f.baseline]))[0])) for f in folds
    ]
    assert compare_by_delong(folds).estimate == pytest.approx((gaps[0] + 2 * gaps[1]) / 3)
    twice = [ScoredFold(truth[c], s[[0, 0]][:, c], s[[1, 1]][:, c]) for c in cut]
    assert compare_by_delong(twice).as_dict() == pytest.approx(
        compare_by_delong(folds).as_dict() | {"name": "DeLong"}
    )


def test_alike_undefined_and_refused() -> None:
    truth, s = two(0)
    same = compare_by_delong([ScoredFold(truth, s[:1], s[:1])])
    assert (same.estimate, same.p) == (0, 1)
    none = compare_by_delong([ScoredFold(np.ones(9, bool), s[:1, :9], s[1:, :9])])
    assert none.n == 0
    assert json.loads(json.dumps(none.as_dict(), allow_nan=False))["p"] is None
    lone = ScoredFold(np.arange(9) == 0, s[:1, :9], s[1:, :9])
    assert compare_by_delong([lone]).n == 0
    with pytest.raises(PolytaskError, match="same cases"):
        auc_covariance(truth, s[:, :5])


def test_equal_arms_are_told_apart_in_five_of_a_hundred() -> None:
    rng = np.random.default_rng(2)
    truth = np.arange(80) % 2 == 0
    p = []
    for _ in range(1000):
        s = truth + rng.normal(size=80) + 0.7 * rng.normal(size=(2, 80))
        p.append(compare_by_delong([ScoredFold(truth, s[:1], s[1:])]).p)
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.05, abs=0.02)


def test_arms_without_an_error() -> None:
    """Alike they differ by nothing; perfect against always wrong differs by 1, but nobody knows how surely."""
    truth, right = np.array([True, True, False, False]), np.array([[4.0, 3.0, 2.0, 1.0]])
    alike = compare_by_delong([ScoredFold(truth, right, right)])
    assert (alike.estimate, alike.statistic, alike.p, alike.n) == (0.0, 0.0, 1.0, 4)
    apart = compare_by_delong([ScoredFold(truth, right, -right)])
    assert (apart.estimate, apart.statistic, apart.n) == (1.0, 0.0, 4)
    assert np.isnan(apart.p)
    nobody = compare_by_delong([])
    assert np.isnan([nobody.estimate, nobody.statistic, nobody.p]).all()
    assert nobody.n == 0


def test_two_of_each_class_are_enough_and_one_is_not() -> None:
    scores = np.array([[3.0, 2.0, 1.0, 2.5]])
    few = ScoredFold(np.array([True, False, False, False]), scores, -scores)
    assert compare_by_delong([few]).n == 0
    whole = ScoredFold(np.array([True, True, False, False]), scores, -scores)
    both = compare_by_delong([few, whole])
    assert (both.n, both.estimate) == (4, pytest.approx(0.75 - 0.25))
    found, covariance = auc_covariance([True, False, False, False], scores)
    assert found.tolist() == [2 / 2 * 3 / 3]
    assert np.isnan(covariance).all()
