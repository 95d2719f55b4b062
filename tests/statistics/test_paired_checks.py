from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.paired_checks import flip_signs, wilcoxon

D = np.random.default_rng(0).normal(0.3, 1, 40)


def test_wilcoxon_by_hand_and_as_scipy_has_it() -> None:
    """Ranks 1, 2, 3, 4 up and 5 down: how many of the 2⁵ signs give a rank sum as small as 5."""
    d = [1.0, 2.0, 3.0, 4.0, -5.0]
    below = sum(sum(k + 1 for k, s in enumerate(signs) if s) <= 5 for signs in product([0, 1], repeat=5))
    assert wilcoxon(d).p == pytest.approx(2 * below / 32)
    assert wilcoxon(d).statistic == 5
    found = wilcoxon([*D, float("nan"), 0.0])
    assert found.p == pytest.approx(stats.wilcoxon(D).pvalue)
    assert found.n == 41


def test_few_differences_go_through_all_signs() -> None:
    d = np.array([0.5, 0.25, 1.0, -0.25, 0.75])
    sums = [abs(np.dot(s, d)) for s in product([-1, 1], repeat=5)]
    expected = np.mean(np.array(sums) >= abs(d.sum()) - 1e-9)
    assert flip_signs(d).p == expected
    assert flip_signs([*d, 0.0]).p == expected
    assert flip_signs([*d, 0.0]).estimate == pytest.approx(d.sum() / 6)
    assert flip_signs([1.0]).p == 1


def test_many_differences_are_drawn_by_the_seed() -> None:
    one, two, three = flip_signs(D, 2000, 1), flip_signs(D, 2000, 1), flip_signs(D, 2000, 2)
    assert one == two
    assert one.p == pytest.approx(three.p, abs=0.03)
    outside = stats.permutation_test(
        (D, np.zeros(40)), lambda a, b: (a - b).mean(), permutation_type="samples", n_resamples=4000, rng=0
    )
    assert one.p == pytest.approx(outside.pvalue, abs=0.03)
    assert flip_signs(D + 5, 999).p == 1 / 1000


@pytest.mark.parametrize("check", [wilcoxon, flip_signs])
def test_no_difference_and_nobody(check) -> None:  # type: ignore[no-untyped-def]
    assert check([0.0, 0.0, 0.0]).p == 1
    assert np.isnan(check([]).p)
    assert [check(d).n for d in ([], [float("nan")], [0.0, float("nan"), 0.0])] == [0, 0, 2]
    assert check([float("nan")]).as_dict()["p"] is None


@pytest.mark.parametrize("check", [wilcoxon, flip_signs])
def test_what_stands_where_there_is_nothing_to_test(check) -> None:  # type: ignore[no-untyped-def]
    same = check([0.0, 0.0, float("nan")])
    assert (same.estimate, same.statistic, same.p, same.n) == (0.0, 0.0, 1.0, 2)
    nobody = check([])
    assert np.isnan([nobody.estimate, nobody.statistic, nobody.p]).all()
    assert nobody.n == 0


def test_all_signs_of_sixteen_and_draws_for_seventeen() -> None:
    """Only the observed signs and their opposites are as far from 0; zeros do not count among the sixteen."""
    assert flip_signs(np.ones(16), 10).p == 2 / 2**16
    assert flip_signs([*np.ones(16), 0.0], 10).p == 2 / 2**16
    assert flip_signs(np.ones(17), 10).p == pytest.approx(1 / 11)

    assert flip_signs(D) == flip_signs(D, 10_000, 0)


def test_differences_of_one_are_differences() -> None:
    assert flip_signs([1.0, 1.0, -1.0]).p == 1
    assert flip_signs([1.0, 1.0, 1.0]).p == 2 / 8
    assert flip_signs([-1.0, -1.0, -1.0]).p == 2 / 8
    assert flip_signs([-1.0, -1.0, -1.0]).estimate == -1
    found = wilcoxon([1.0, 2.0, -1.0, 0.0, 4.0])
    assert (found.estimate, found.n) == (1.0, 5)
    assert (found.statistic, found.p) == (
        stats.wilcoxon([1.0, 2.0, -1.0, 4.0]).statistic,
        pytest.approx(stats.wilcoxon([1.0, 2.0, -1.0, 4.0]).pvalue),
    )
