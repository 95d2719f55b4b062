"""Thresholds that hold a sensitivity or specificity."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from polytask.errors import PolytaskError
from polytask.statistics.operating_point import choose_threshold


def world(n: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.4
    return np.round(1 / (1 + np.exp(-random.normal(truth * 1.5 - 0.7))), 2), truth


def find_rates(called: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Sensitivity and specificity of calls."""
    return float(called[truth].mean()), float((~called[~truth]).mean())


@pytest.mark.parametrize("target", [0.5, 0.8, 0.9, 0.95])
def test_it_is_the_best_point_of_the_roc_curve_that_holds_the_target(target: float) -> None:
    p, truth = world()
    fall_out, hits, _ = roc_curve(truth, p, drop_intermediate=False)
    sensitivity, specificity = find_rates(p >= choose_threshold(p, truth, "sensitivity", target), truth)
    assert sensitivity >= target
    assert specificity == pytest.approx(1 - fall_out[hits >= target].min())
    sensitivity, specificity = find_rates(p >= choose_threshold(p, truth, "specificity", target), truth)
    assert specificity >= target
    assert sensitivity == pytest.approx(hits[1 - fall_out >= target].max())


def test_ten_positives_are_needed_to_see_one_in_ten_missed() -> None:
    p, truth = np.linspace(0, 1, 20), np.arange(20) >= 10
    assert choose_threshold(p, truth, "sensitivity", 0.9) == p[11]
    with pytest.raises(PolytaskError, match="9 positive cases, expected at least 10"):
        choose_threshold(p[:19], truth[:19], "sensitivity", 0.9)
    with pytest.raises(PolytaskError, match="10 negative cases, expected at least 20"):
        choose_threshold(p, truth, "specificity", 0.95)


def test_a_constant_answer_reaches_nothing() -> None:
    truth = np.arange(40) % 2 == 0
    for aim in ("sensitivity", "specificity"):
        with pytest.raises(PolytaskError, match="other than by calling"):
            choose_threshold(np.full(40, 0.3), truth, aim, 0.8)  # type: ignore[arg-type]
    with pytest.raises(PolytaskError, match="between 0 and 1"):
        choose_threshold(np.full(40, 0.3), truth, "sensitivity", 1.0)


def test_a_threshold_by_hand() -> None:
    """Of five positives four are held: the threshold is the fourth highest. Of five negatives four: between the fourth
    and the next one above it."""
    p = np.array([0.9, 0.8, 0.7, 0.6, 0.3, 0.1, 0.2, 0.25, 0.4, 0.65])
    truth = np.arange(10) < 5
    assert choose_threshold(p, truth, "sensitivity", 0.8) == 0.6
    assert choose_threshold(p, truth, "specificity", 0.8) == pytest.approx((0.4 + 0.6) / 2)
    assert choose_threshold(p, truth, "sensitivity", 0.5) == 0.7
    assert choose_threshold(p, truth, "specificity", 0.5) == pytest.approx((0.25 + 0.3) / 2)
    one_above = np.array([0.1, 0.2, 0.2, 0.9])
    assert choose_threshold(one_above, one_above > 0.5, "specificity", 0.5) == pytest.approx(0.55)


def test_the_middle_of_two_neighboring_numbers_is_the_upper_one() -> None:
    low = 0.5
    high = np.nextafter(low, 1.0)
    p = np.array([0.1, low, low, high, high])
    assert choose_threshold(
        p, np.array([False, False, True, True, True]), "specificity", 0.5
    ) == pytest.approx(0.3)
    assert choose_threshold(p, np.array([True, False, False, True, False]), "specificity", 0.6) == high


@pytest.mark.parametrize("target", [0.0, 1.0, -0.1, 1.1])
def test_a_share_lies_between_nothing_and_all(target: float) -> None:
    with pytest.raises(PolytaskError, match="between 0 and 1"):
        choose_threshold([0.1, 0.9], [False, True], "sensitivity", target)


def test_one_case_is_told_as_one() -> None:
    with pytest.raises(PolytaskError, match="1 positive case, expected at least 2"):
        choose_threshold([0.1, 0.9], [False, True], "sensitivity", 0.5)
    with pytest.raises(PolytaskError, match="0 negative cases, expected at least 2"):
        choose_threshold([0.1, 0.9], [True, True], "specificity", 0.5)
    assert choose_threshold([0.1, 0.8, 0.9], [False, True, True], "sensitivity", 0.5) == 0.9
