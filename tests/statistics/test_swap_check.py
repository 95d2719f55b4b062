"""The arms' answers are exchanged subject by subject; held against SciPy's permutation test of paired samples."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from polytask.statistics.paired_checks import flip_signs
from polytask.statistics.swap_check import ExchangeFold, compare_by_swaps

Bools = npt.NDArray[np.bool_]


def exchange(truth: npt.ArrayLike, arm: npt.ArrayLike, base: npt.ArrayLike, measure: object) -> ExchangeFold:
    """Of one answer a subject."""
    y, a, b = map(np.asarray, (truth, arm, base))

    def difference(swapped: Bools) -> float:
        return float(measure(y, np.where(swapped, b, a)) - measure(y, np.where(swapped, a, b)))  # type: ignore[operator]

    return ExchangeFold(difference, len(y), len(y))


def kappa(truth: npt.ArrayLike, answer: npt.ArrayLike) -> float:
    """Quadratic κ; a call of scikit-learn takes a hundred times as long, and thousands are needed."""
    t, a = np.asarray(truth), np.asarray(answer)
    chance = ((t[:, None] - a[None, :]) ** 2).mean()
    return float(1 - ((t - a) ** 2).mean() / chance)


def area(truth: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Share of the pairs in the right order; ties count half."""
    t, s = np.asarray(truth, bool), np.asarray(scores)
    return float((1 + np.sign(s[t][:, None] - s[~t][None, :])).mean() / 2)


def test_the_measures_are_those_of_scikit_learn() -> None:
    draws = np.random.default_rng(0)
    truth, answer = draws.integers(0, 3, (2, 50))
    assert kappa(truth, answer) == pytest.approx(cohen_kappa_score(truth, answer, weights="quadratic"))
    assert area(truth > 0, answer) == pytest.approx(roc_auc_score(truth > 0, answer))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("measure", [area, kappa])
def test_scipy_goes_through_all_exchanges(measure: object, seed: int) -> None:
    """8 subjects: all 256 ways there, 999 random ones here."""
    draws = np.random.default_rng(seed)
    if measure is kappa:
        truth, arm, base = (draws.integers(0, 3, 8) for _ in range(3))
        arm = np.where(draws.random(8) < 0.7, truth, arm)
    else:
        truth = np.array([0, 1] * 4)
        arm, base = truth + 1.0 * draws.normal(size=8), truth + 2.0 * draws.normal(size=8)
    exact = permutation_test(
        (arm, base),
        lambda a, b: measure(truth, a) - measure(truth, b),  # type: ignore[operator]
        permutation_type="samples",
        vectorized=False,
        n_resamples=np.inf,
    )
    found = compare_by_swaps([exchange(truth, arm, base, measure)], resamples=999, seed=seed)
    assert found.estimate == pytest.approx(exact.statistic)
    assert found.p == pytest.approx(exact.pvalue, abs=4 * np.sqrt(0.25 / 1000))


def test_of_a_mean_it_is_the_sign_flips() -> None:
    """Exchanging two answers turns the sign of their difference; folds weigh as their cases."""
    d = np.random.default_rng(1).normal(0.5, 1, 40)

    def half(part: npt.NDArray[np.float64]) -> ExchangeFold:
        return ExchangeFold(
            lambda swapped: float(np.where(swapped, -part, part).mean()), len(part), len(part)
        )

    found, flips = compare_by_swaps([half(d[:10]), half(d[10:])], 3999), flip_signs(d)
    assert found.estimate == pytest.approx(flips.estimate)
    assert found.p == pytest.approx(flips.p, abs=0.02)
    assert flips.p < 0.05


def test_arms_that_never_differ_and_nobody_to_compare() -> None:
    same = exchange([0, 1, 0, 1], [1.0, 2, 3, 4], [1.0, 2, 3, 4], area)
    found = compare_by_swaps([same])
    assert (found.estimate, found.p) == (0.0, 1.0)
    assert np.isnan(compare_by_swaps([]).p)
    assert np.isnan(compare_by_swaps([ExchangeFold(lambda swapped: float("nan"), 3, 3)]).p)


def test_nobody_to_compare_has_no_numbers() -> None:
    for nobody in (
        compare_by_swaps([]),
        compare_by_swaps([ExchangeFold(lambda swapped: float("nan"), 3, 3)]),
    ):
        assert np.isnan([nobody.estimate, nobody.statistic, nobody.p]).all()
        assert nobody.n == 0


def test_folds_weigh_as_their_cases_and_nobody_is_exchanged_in_what_is_observed() -> None:
    folds = [
        ExchangeFold(lambda swapped: 1.0 if not swapped.any() else 0.0, 30, 1),
        ExchangeFold(lambda swapped: 5.0 if not swapped.any() else 0.0, 30, 3),
    ]
    found = compare_by_swaps(folds, 9)
    assert (found.estimate, found.statistic, found.n) == (4.0, 4.0, 4)
    assert found.p == 1 / 10
    assert compare_by_swaps(folds).p == 1 / 500, "499 exchanges unless told otherwise"


def test_what_is_as_far_from_nothing_counts_as_extreme() -> None:
    """Also what differs by rounding, and what has no metric."""

    def of(other: float) -> float:
        return compare_by_swaps(
            [ExchangeFold(lambda swapped: -1.0 if not swapped.any() else other, 30, 30)], 9
        ).p

    assert [of(x) for x in (1.0, -1.0, 1.5, 1 - 1e-12, float("nan"))] == [1.0] * 5
    assert [of(x) for x in (0.99, -0.99, 0.0, 1 - 1e-6)] == [0.1] * 4


def test_a_coin_decides_for_every_subject() -> None:
    seen: list[Bools] = []

    def difference(swapped: Bools) -> float:
        seen.append(swapped)
        return 1.0

    compare_by_swaps([ExchangeFold(difference, 1000, 1000)], 20)
    assert not seen[0].any()
    assert len(seen) == 21
    assert all(430 < s.sum() < 570 for s in seen[1:])
    assert not (seen[1] == seen[2]).all()
    again = len(seen)
    compare_by_swaps([ExchangeFold(difference, 1000, 1000)], 20, seed=0)
    assert all((a == b).all() for a, b in zip(seen[:again], seen[again:], strict=True))
