"""Limits of agreement, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.evaluation.bland_altman import compute_limits_of_agreement


def test_limits_are_1_96_standard_deviations_around_the_bias() -> None:
    found = compute_limits_of_agreement([3.0, 5.0, 10.0], [2.0, 5.0, 8.0])
    assert (found.bias, found.n) == (1.0, 3)
    assert (found.low, found.high) == (pytest.approx(1 - 1.96), pytest.approx(1 + 1.96))


def test_one_item_has_a_bias_and_no_limits_and_none_has_nothing() -> None:
    one = compute_limits_of_agreement([3.0], [1.0])
    assert (one.bias, one.n) == (2.0, 1)
    assert np.isnan([one.low, one.high]).all()
    two = compute_limits_of_agreement([3.0, 3.0], [1.0, 1.0])
    assert (two.low, two.high, two.n) == (2.0, 2.0, 2)
    nothing = compute_limits_of_agreement([], [])
    assert nothing.n == 0
    assert np.isnan(nothing[:3]).all()
