from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from polytask.statistics.share_interval import (
    compute_wilson_interval,
    count_independent_cases,
    find_share_interval,
)


@pytest.mark.parametrize(("hits", "n"), [(8, 10), (0, 5), (5, 5), (50, 100), (263, 264)])
def test_wilson_is_that_of_scipy(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert compute_wilson_interval(hits, n) == pytest.approx((expected.low, expected.high))


def test_newcombes_published_wilson_intervals() -> None:
    """Newcombe 1998 (Statistics in Medicine 17:857), Table I, method 3: 81/263, 15/148, 0/20, 1/29."""
    published = [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]
    for hits, n, low, high in published:
        assert compute_wilson_interval(hits, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("n", [10, 20, 50])
def test_coverage_of_shares_is_right_on_average(n: int) -> None:
    hits = np.arange(n + 1)
    ends = np.array([compute_wilson_interval(h, n) for h in hits])
    held = [
        binom.pmf(hits, n, p)[(ends[:, 0] <= p) & (p <= ends[:, 1])].sum() for p in np.linspace(0.5, 0.99, 50)
    ]
    assert 0.93 < np.mean(held) < 0.985
    assert min(held) > 0.85


def test_one_case_a_subject_counts_in_full() -> None:
    hits = np.array([1, 0, 1, 1, 0.0])
    assert count_independent_cases(hits, np.ones(5)) == 5
    assert find_share_interval(hits, np.ones(5)) == compute_wilson_interval(3, 5)
    assert np.isnan(find_share_interval([], [])).all()
    assert find_share_interval([0, 1, 0], [0, 1, 1]) == compute_wilson_interval(1, 2)


def test_visits_that_agree_are_no_more_evidence() -> None:
    once = np.random.default_rng(0).random(40) < 0.7
    assert count_independent_cases(5.0 * once, np.full(40, 5)) == pytest.approx(40, rel=0.05)
    assert (
        count_independent_cases(np.full(8, 3), np.full(8, 3)) == 8
    )  # all right: nothing tells of the visits


def test_visits_that_do_not_agree_are_worth_more() -> None:
    hits = np.random.default_rng(1).binomial(5, 0.7, 400)
    assert count_independent_cases(hits, np.full(400, 5)) == pytest.approx(2000, rel=0.12)


def test_coverage_with_visits_that_go_together() -> None:
    """Taken as 60 subjects, 20 subjects with 3 visits each are covered in 88 % of the studies."""
    random, held, plain = np.random.default_rng(2), 0, 0
    for _ in range(400):
        hits = random.binomial(3, random.beta(1.2, 0.3, 20))
        low, high = find_share_interval(hits, np.full(20, 3))
        held += low <= 0.8 <= high
        low, high = compute_wilson_interval(hits.sum(), 60)
        plain += low <= 0.8 <= high
    assert held / 400 > 0.93
    assert plain / 400 < 0.92


def test_the_effective_size_by_hand() -> None:
    """Hits 2, 1, 0 of 2 each: half are right, the variance between subjects is 3/2 · 2 / 36, that of independent cases
    1/24, so the design effect seen is 2; the mean of 2 · 2 and 6 · 2 parts over 8 is 2."""
    assert count_independent_cases([2.0, 1.0, 0.0], [2.0, 2.0, 2.0]) == pytest.approx(6 / 2)
    even = count_independent_cases([1.0, 1.0, 1.0], [2.0, 2.0, 2.0])
    assert even == pytest.approx(6 / ((2 * 0 + 6 * 2) / 8)), "subjects that do not differ"
    uneven = count_independent_cases([3.0, 0.0], [3.0, 1.0])
    between = 2 * ((3 - 2.25) ** 2 + 0.75**2) / 16
    effect = (between / (0.75 * 0.25 / 4) + 6 * 2) / 7
    assert uneven == pytest.approx(4 / effect)


def test_the_effective_size_at_its_bounds() -> None:
    assert count_independent_cases([], []) == 0
    assert count_independent_cases([1.0], [1.0]) == 1
    assert count_independent_cases([2.0], [4.0]) == 1, "all visits of the only subject agree"
    assert count_independent_cases([0.0, 0.0], [3.0, 3.0]) == 2
    assert count_independent_cases([3.0, 3.0], [3.0, 3.0]) == 2
    many = np.tile([1.0, 1.0], 500)
    assert count_independent_cases(many, np.full(1000, 2.0)) == 2000, "never more than there are"


def test_a_share_of_several_visits_uses_the_effective_size() -> None:
    low, high = find_share_interval([2.0, 1.0, 0.0], [2.0, 2.0, 2.0])
    assert (low, high) == pytest.approx(compute_wilson_interval(1.5, 3))
    assert find_share_interval([2.0, 1.0, 0.0], [2.0, 2.0, 2.0], 0.9) == pytest.approx(
        compute_wilson_interval(1.5, 3, 0.9)
    )
