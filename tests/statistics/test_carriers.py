"""Subjects without whom an effect would be another."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from polytask.statistics.carriers import compute_mean_variance, find_carriers
from polytask.statistics.pivot import Pivot

NORMAL = Pivot(stats.norm.ppf((np.arange(9998) + 0.5) / 9998))
ONE = np.ones(1)


def find(
    means: list[np.ndarray], p: float, weights: np.ndarray = ONE, error: float | None = None
) -> tuple[str, ...]:
    """Who carries a mean of these effects, with the error that the subjects alone give it."""
    estimate = sum(w * m.mean() for w, m in zip(weights, means, strict=True))
    names = [[f"f{f}s{k}" for k in range(len(m))] for f, m in enumerate(means)]
    own = np.sqrt(compute_mean_variance(means, weights)) if error is None else error
    return find_carriers(means, names, weights, float(estimate), float(own), p, NORMAL)


def test_the_variance_of_a_mean_is_that_of_its_folds() -> None:
    found = compute_mean_variance([np.array([1.0, 3.0]), np.array([0.0, 0.0, 6.0])], np.array([0.25, 0.75]))
    assert found == pytest.approx(0.25**2 * 2 / 2 + 0.75**2 * 12 / 3)


def test_who_takes_more_than_half_of_a_shown_effect_is_named() -> None:
    """Nine gain 1 and one 12: without it 1 of 2.1 is left, less than half; with 10 it is 1 of 1.9."""
    steady = 1 + 0.01 * np.tile([1.0, -1.0, 0.0], 3)
    assert find([np.append(steady, 12.0)], 0.01) == ("f0s9",)
    assert find([np.append(steady, 10.0)], 0.01) == ()


def test_who_makes_p_small_is_named() -> None:
    """Gains of 0.3 and −0.2 in turns, and one of 0.5 that makes p pass."""
    values = np.append(np.tile([0.3, -0.2], 10), 0.5)
    p = float(NORMAL.p(values.mean() / (values.std(ddof=1) / np.sqrt(21))))
    assert 0.05 < p < 0.25
    assert find([values], 0.05) == ("f0s20",), "p is taken to be just small enough"
    assert find([np.tile([0.6, 0.4], 10)], 1e-9) == ()


def test_of_what_was_not_shown_nine_tenths_must_go() -> None:
    still = 0.01 * np.tile([1.0, -1.0], 10)
    assert find([np.append(still, 8.0)], 0.3, error=0.2) == ("f0s20",)
    rest = np.append(still + 0.1, 8.0)
    assert find([rest], 0.3, error=0.2) == (), "0.1 of 0.476 is more than a tenth"
    rest = np.append(still + 0.04, 8.0)
    assert find([rest], 0.3, error=0.2) == ("f0s20",), "0.04 of 0.419 is less"


def test_an_effect_below_its_error_is_carried_by_nobody() -> None:
    values = np.append(0.01 * np.tile([1.0, -1.0], 10), 8.0)
    assert find([values], 0.3, error=float(values.mean())) == ("f0s20",)
    assert find([values], 0.3, error=float(values.mean()) * 1.01) == ()


def test_losses_are_carried_as_gains_are() -> None:
    steady = 1 + 0.01 * np.tile([1.0, -1.0, 0.0], 3)
    assert find([-np.append(steady, 12.0)], 0.01) == ("f0s9",)


def test_at_most_three_are_named_in_the_order_of_what_they_take() -> None:
    still = 0.001 * np.tile([1.0, -1.0], 10)
    assert find([np.concatenate([still, [3.0, 5.0]])], 0.3) == ("f0s21", "f0s20")
    assert find([np.concatenate([still, [3.0, 5.0]])], 0.01) == ("f0s21",)
    assert find([np.concatenate([still, [3.0, 5.0, 4.0]])], 0.3) == ("f0s21", "f0s22", "f0s20")
    assert find([np.concatenate([still, [3.0, 5.0, 4.0, 3.0]])], 0.3) == ()


def test_folds_count_by_their_weight() -> None:
    one = np.append(0.001 * np.tile([1.0, -1.0], 5), 4.0)
    two = np.append(0.001 * np.tile([1.0, -1.0], 5), 2.0)
    assert find([one, two], 0.01, np.array([0.2, 0.8])) == ("f1s10",)
    assert find([one, two], 0.01, np.array([0.8, 0.2])) == ("f0s10",)


def test_a_fold_that_would_be_left_with_one_subject_names_nobody() -> None:
    assert find([np.array([0.0, 5.0])], 0.01) == ()
    assert find([np.array([0.0, 0.01, 5.0])], 0.01) == ("f0s2",)
