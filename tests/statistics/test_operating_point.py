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
