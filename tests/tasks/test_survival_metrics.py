"""Measures of predicted risks and probabilities, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.tasks import survival_metrics
from polytask.tasks.survival_metrics import (
    compute_censoring_weights,
    compute_concordance,
    compute_horizon_auc,
    compute_horizon_brier,
    is_horizon_defined,
)

TIMES, EVENTS = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 0.0, 1.0, 0.0])
CENSORING = {"times": (2.0, 3.0), "survival": (0.8, 0.5)}


def test_a_horizon_is_defined_where_a_tenth_is_still_followed() -> None:
    assert is_horizon_defined({"times": (5.0,), "survival": (0.1,)}, 5.0)
    assert not is_horizon_defined({"times": (5.0,), "survival": (0.0999,)}, 5.0)
    assert is_horizon_defined({"times": (5.0,), "survival": (0.0,)}, 4.9)
    assert is_horizon_defined({}, 1.0)


def test_weights_are_of_the_time_just_before() -> None:
    found = compute_censoring_weights(np.array([1.0, 2.0, 2.5, 3.0, 3.5]), CENSORING)
    assert found.tolist() == pytest.approx([1, 1, 1.25, 1.25, 2])
    assert compute_censoring_weights(np.array([2.0]), {"times": (1.0,), "survival": (0.0,)})[
        0
    ] == pytest.approx(1e12)


def test_an_area_weighs_the_events_by_the_horizon() -> None:
    """Events at 1 (weight 1) and 3 (weight 1.25) against the one who is followed beyond 3."""
    assert compute_horizon_auc(
        np.array([0.9, 9.0, 0.1, 0.5]), TIMES, EVENTS, 3.0, CENSORING
    ) == pytest.approx(1 / 2.25)
    assert compute_horizon_auc(
        np.array([0.1, 9.0, 0.9, 0.5]), TIMES, EVENTS, 3.0, CENSORING
    ) == pytest.approx(1.25 / 2.25)
    assert np.isnan(compute_horizon_auc(TIMES, TIMES, EVENTS, 4.0, CENSORING)), "nobody is followed beyond"


def test_a_brier_score_weighs_who_is_known_by_the_horizon() -> None:
    p = np.array([0.5, 0.9, 0.25, 0.5])
    expected = (0.5**2 * 1 + 0.75**2 * 1.25 + 0.5**2 / 0.5) / 4
    assert compute_horizon_brier(p, TIMES, EVENTS, 3.0, CENSORING) == pytest.approx(expected)
    assert np.isnan(compute_horizon_brier(p[:0], TIMES[:0], EVENTS[:0], 3.0, CENSORING))
    assert np.isnan(compute_horizon_brier(np.array([0.5, np.nan, 0.5, 0.5]), TIMES, EVENTS, 3.0, CENSORING))
    assert np.isnan(compute_horizon_brier(p, TIMES, EVENTS, 3.0, {"times": (3.0,), "survival": (0.05,)}))


def test_concordance_is_the_share_of_pairs_in_the_right_order() -> None:
    assert compute_concordance(np.array([4.0, 3, 2, 1]), TIMES, EVENTS) == 1.0
    assert compute_concordance(np.array([1.0, 3, 2, 1]), TIMES, EVENTS) == pytest.approx((0.5 + 1) / 4)
    assert np.isnan(compute_concordance(TIMES, TIMES, np.zeros(4)))
    assert np.isnan(compute_concordance(np.array([np.inf, 3, 2, 1]), TIMES, EVENTS))


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_concordance_of_few_subjects_is_that_of_many(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparing every pair and counting agree, also where times and risks are equal."""
    random = np.random.default_rng(n)
    risk, times = random.integers(0, 6, n).astype(float), random.integers(0, 9, n).astype(float)
    events = (random.random(n) < 0.6).astype(float)
    few = compute_concordance(risk, times, events)
    monkeypatch.setattr(survival_metrics, "FEW_SUBJECTS", 0)
    assert few == pytest.approx(compute_concordance(risk, times, events), abs=1e-12, nan_ok=True)
