"""Calibration errors by hand and of models whose error is known."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.trust.calibration_measures import (
    compute_debiased_error,
    compute_smooth_error,
)


def test_the_bias_of_bins_is_taken_off_by_hand() -> None:
    """Two bins of two: p̄ 0.2 and 0.9, ȳ ½ and 1. ½ (0.09 − 0.25) + ½ (0.01 − 0) = −0.075 → 0. With ȳ 0 in the first:
    ½ · 0.04 + ½ · 0.01 = 0.025."""
    p = np.array([0.1, 0.3, 0.8, 1.0])
    assert compute_debiased_error(p, np.array([0.0, 1.0, 1.0, 1.0])) == 0
    assert compute_debiased_error(p, np.array([0.0, 0.0, 1.0, 1.0])) == pytest.approx(0.025**0.5)
    assert np.isnan(compute_debiased_error(np.ones(1), np.ones(1)))


def test_a_perfect_model_has_no_error_on_average_and_a_wrong_one_its_own() -> None:
    """E[(p − q)²] for p = q + 0.2 is 0.04. The plain error of a perfect model in these bins would be 0.08 or so."""
    random = np.random.default_rng(0)
    perfect, wrong = [], []
    for _ in range(100):
        true = random.uniform(0, 0.8, 300)
        happened = (random.uniform(size=300) < true).astype(np.float64)
        perfect.append(compute_debiased_error(true, happened) ** 2)
        wrong.append(compute_debiased_error(true + 0.2, happened) ** 2)
    assert np.mean(perfect) < 0.002
    assert np.mean(wrong) == pytest.approx(0.04, rel=0.1)


def test_the_smooth_error_is_the_width_at_which_it_equals_itself() -> None:
    """All answers ½ and a truth of 0.9: the error is 0.4 for every width that does not reach the ends; with the
    reflection no mass is lost, so that it stays 0.4."""
    p, happened = np.full(1000, 0.5), np.repeat([1.0, 0.0], [900, 100])
    assert compute_smooth_error(p, happened) == pytest.approx(0.4, abs=0.01)
    assert compute_smooth_error(np.full(1000, 0.9), happened) == pytest.approx(0.0, abs=0.005)
    assert np.isnan(compute_smooth_error(np.zeros(0), np.zeros(0)))
