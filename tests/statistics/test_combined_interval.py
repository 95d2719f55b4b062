from __future__ import annotations

import numpy as np
import pytest

from polytask.statistics.combined_interval import combine_intervals, find_correlations
from polytask.statistics.share_interval import compute_wilson_interval


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    # Newcombe 1998 (Statistics in Medicine 17:873), Table II, method 10: (a), (b), (h)
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_newcombes_published_differences(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    ends = [compute_wilson_interval(*x) for x in (first, second)]
    shares = [h / n for h, n in (first, second)]
    found = combine_intervals([1, -1], shares, [e[0] for e in ends], [e[1] for e in ends], np.eye(2))
    assert found == pytest.approx((low, high), abs=5e-5)


def test_measures_that_go_together() -> None:
    whole = combine_intervals([0.5, 0.5], [0.8, 0.8], [0.7, 0.7], [0.9, 0.9], np.ones((2, 2)))
    assert whole == pytest.approx((0.7, 0.9))
    apart = combine_intervals([0.5, 0.5], [0.8, 0.8], [0.7, 0.7], [0.9, 0.9], np.eye(2))
    assert apart == pytest.approx((0.8 - 0.1 / np.sqrt(2), 0.8 + 0.1 / np.sqrt(2)))
    same = combine_intervals([1, -1], [0.8, 0.8], [0.7, 0.7], [0.9, 0.9], np.ones((2, 2)))
    assert same == pytest.approx((0, 0))


def test_correlations() -> None:
    x, y = np.array([1.0, -1.0, 0.0, 0.0]), np.array([2.0, -1.0, -1.0, 0.0])
    found = find_correlations([x, y, np.zeros(4)])
    assert found[0, 1] == pytest.approx(3 / np.sqrt(2 * 6))
    assert found[2].tolist() == [0, 0, 1]


def test_measures_that_are_each_others_opposite_have_a_correlation_of_exactly_minus_1() -> None:
    three = np.array([1.0, 1.0, 1.0])
    found = find_correlations([three, -three])
    assert found.tolist() == [[1, -1], [-1, 1]], "−3 ÷ √3² is a little below −1"


def test_each_side_takes_the_distances_that_pull_to_it() -> None:
    """Distances 0.1 down and 0.2 up of the first, 0.3 down and 0.4 up of the second, which counts against it."""
    ends = [0.5, 0.6], [0.4, 0.3], [0.7, 1.0]
    low, high = combine_intervals([0.5, -0.5], *ends, np.eye(2))
    assert low == pytest.approx(-0.05 - 0.5 * np.hypot(0.1, 0.4))
    assert high == pytest.approx(-0.05 + 0.5 * np.hypot(0.2, 0.3))
    low, high = combine_intervals([2.0, -2.0], *ends, np.array([[1.0, 0.5], [0.5, 1.0]]))
    assert low == pytest.approx(-0.2 - 2 * np.sqrt(0.1**2 + 0.4**2 - 0.1 * 0.4))
    assert high == pytest.approx(-0.2 + 2 * np.sqrt(0.2**2 + 0.3**2 - 0.2 * 0.3))


def test_a_measure_is_correlated_with_itself_and_none_that_nobody_moves() -> None:
    assert find_correlations([np.zeros(2), np.zeros(2)]).tolist() == [[1, 0], [0, 1]]
    small = find_correlations([np.array([0.1, -0.1]), np.array([0.1, 0.1])])
    assert small == pytest.approx(np.eye(2), abs=1e-12)
    assert find_correlations([np.array([3.0, 0.0]), np.array([3.0, 4.0])])[0, 1] == pytest.approx(0.6)
