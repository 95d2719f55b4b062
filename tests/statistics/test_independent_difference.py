"""Differences of estimates from different people, against published intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from polytask.statistics.independent_difference import BoundedEstimate, subtract_independent

Z = 1.959963984540054


def wilson(events: int, n: int) -> BoundedEstimate:
    """Wilson's interval of a share, by its formula."""
    p, z = events / n, Z
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return BoundedEstimate(p, center - half, center + half)


@pytest.mark.parametrize(
    ("second", "first", "low", "high"),
    [  # Newcombe, Statist. Med. 17 (1998) 873-890, table II, method 10: lopsided and boundary cases
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_with_wilson_intervals_it_is_newcombes_method_10(
    second: tuple[int, int], first: tuple[int, int], low: float, high: float
) -> None:
    found = subtract_independent(wilson(*second), wilson(*first))
    assert found.estimate == pytest.approx(second[0] / second[1] - first[0] / first[1])
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_with_symmetric_intervals_it_adds_the_variances() -> None:
    found = subtract_independent(
        BoundedEstimate(5.0, 5 - 0.3, 5 + 0.3), BoundedEstimate(6.0, 6 - 0.4, 6 + 0.4)
    )
    np.testing.assert_allclose(found, (-1.0, -1.5, -0.5))


def test_without_one_of_the_intervals_there_is_none() -> None:
    nan = float("nan")
    for bad in (BoundedEstimate(0.6, nan, nan), BoundedEstimate(nan, nan, nan)):
        for pair in ((bad, BoundedEstimate(0.5, 0.4, 0.6)), (BoundedEstimate(0.5, 0.4, 0.6), bad)):
            found = subtract_independent(*pair)
            assert math.isnan(found.low)
            assert math.isnan(found.high)
    assert subtract_independent(
        BoundedEstimate(0.6, nan, nan), BoundedEstimate(0.5, 0.4, 0.6)
    ).estimate == pytest.approx(0.1)
