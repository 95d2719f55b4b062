"""Curves over time, worked by hand."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from polytask.kinds.step_curves import (
    discretize_follow_up,
    estimate_breslow_hazard,
    estimate_censoring,
    estimate_kaplan_meier,
    evaluate_hazard,
    evaluate_step_curve,
    evaluate_survival,
    measure_risk_sets,
)


def test_a_step_holds_from_its_time_on_or_after_it() -> None:
    at = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    assert evaluate_step_curve([1, 3], [0.5, 0.2], at, 0.9).tolist() == [0.9, 0.5, 0.5, 0.2, 0.2]
    assert evaluate_step_curve([1, 3], [0.5, 0.2], at, 0.9, left=True).tolist() == [0.9, 0.9, 0.5, 0.5, 0.2]
    assert evaluate_step_curve([], [], at[:2], 0.3).tolist() == [0.3, 0.3]


def test_kaplan_meier_steps_at_events_only() -> None:
    found = estimate_kaplan_meier([1, 2, 2, 3, 4], [1, 1, 0, 1, 0])
    assert found["times"] == (1.0, 2.0, 3.0)
    assert found["survival"] == pytest.approx((0.8, 0.6, 0.3))
    assert estimate_kaplan_meier([5, 5, 6], [1, 1, 0])["survival"] == pytest.approx((1 / 3,))
    assert estimate_kaplan_meier([5], [1]) == {"times": (5.0,), "survival": (0.0,)}
    assert estimate_kaplan_meier([5], [0]) == {"times": (), "survival": ()}


def test_censoring_comes_after_the_events_of_the_same_time() -> None:
    found = estimate_censoring([1, 2, 2, 3, 4], [0, 1, 0, 1, 0])
    assert found["times"] == (1.0, 2.0, 4.0)
    assert found["survival"] == pytest.approx((0.8, 0.8 * 2 / 3, 0.0))
    assert estimate_censoring([1, 1, 2], [0, 0, 1]) == {"times": (1.0,), "survival": pytest.approx((1 / 3,))}
    assert estimate_censoring([5], [1]) == {"times": (), "survival": ()}


def test_a_baseline_of_equal_risks_is_the_nelson_aalen_estimate_to_the_end_of_follow_up() -> None:
    found = estimate_breslow_hazard([0, 0, 0], [1, 2, 3], [1, 1, 0])
    assert found["times"] == (1.0, 2.0, 3.0)
    assert found["hazard"] == pytest.approx((1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2))
    found = estimate_breslow_hazard([0, 0, 0], [3, 2, 2], [1, 1, 1])
    assert found == {"times": (2.0, 3.0), "hazard": pytest.approx((2 / 3, 5 / 3))}


def test_a_baseline_counts_who_is_at_risk_by_the_hazard_ratio() -> None:
    found = estimate_breslow_hazard([log(2), 0, 0], [1, 2, 3], [1, 1, 0])
    assert found["hazard"] == pytest.approx((1 / 4, 1 / 4 + 1 / 2, 3 / 4))
    assert estimate_breslow_hazard([100.0], [1.0], [1])["hazard"] == pytest.approx((exp(-50),))
    assert estimate_breslow_hazard([-100.0], [1.0], [1])["hazard"] == pytest.approx((exp(50),))


def test_a_baseline_without_events_is_flat_to_the_end_of_follow_up() -> None:
    assert estimate_breslow_hazard([0.0, 0.0], [5, 7], [0, 0]) == {"times": (7.0,), "hazard": (0.0,)}
    assert estimate_breslow_hazard([], [], []) == {"times": (), "hazard": ()}


def test_a_baseline_stays_where_it_is_after_the_last_event() -> None:
    curve = estimate_breslow_hazard([0.0] * 4, [1, 2, 3, 4], [1, 1, 1, 0])
    assert curve["times"] == (1.0, 2.0, 3.0, 4.0)
    assert curve["hazard"] == pytest.approx((1 / 4, 7 / 12, 13 / 12, 13 / 12))


def test_a_hazard_is_unknown_after_the_last_time() -> None:
    curve = {"times": (1.0, 2.0), "hazard": (0.1, 0.3)}
    found = evaluate_hazard(curve, np.array([0.0, 1.0, 1.9, 2.0, 2.5]))
    assert found[:4].tolist() == [0.0, 0.1, 0.1, 0.3]
    assert np.isnan(found[4])
    nothing = evaluate_hazard({"times": (), "hazard": ()}, np.array([0.0, 0.5]))
    assert nothing[0] == 0
    assert np.isnan(nothing[1])


def test_risk_sets_hold_who_is_still_followed_and_ties_have_their_place() -> None:
    sizes, ties = measure_risk_sets(np.array([3.0, 2.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.0, 1.0]))
    assert sizes.tolist() == [4.0, 3.0, 3.0]
    assert ties.tolist() == [0.0, 0.0, 1.0]
    sizes, ties = measure_risk_sets(np.array([2.0, 2.0]), np.array([0.0, 0.0]))
    assert (sizes.size, ties.size) == (0, 0)


@pytest.mark.parametrize(
    ("time", "event", "at_risk", "happened"),
    [
        (0.0, 1, [True, False], [True, False]),
        (0.0, 0, [False, False], [False, False]),
        (0.9, 0, [False, False], [False, False]),
        (1.0, 0, [True, False], [False, False]),
        (0.9, 1, [True, False], [True, False]),
        (2.0, 1, [True, False], [True, False]),
        (2.0, 0, [True, False], [False, False]),
        (2.9, 0, [True, False], [False, False]),
        (3.0, 0, [True, True], [False, False]),
        (2.1, 1, [True, True], [False, True]),
        (4.0, 1, [True, True], [False, True]),
        (4.0, 0, [True, True], [False, False]),
        (9.0, 1, [True, True], [False, False]),
        (9.0, 0, [True, True], [False, False]),
    ],
)
def test_an_interval_counts_who_had_the_event_in_it_or_passed_its_middle(
    time: float, event: int, at_risk: list[bool], happened: list[bool]
) -> None:
    found = discretize_follow_up([time], [event], (2.0, 4.0))
    assert found[0].tolist() == [at_risk]
    assert found[1].tolist() == [happened]


def test_an_event_at_the_edge_of_two_intervals_belongs_to_the_first() -> None:
    _, happened = discretize_follow_up([2.0, 4.0, 4.5], [1, 1, 1], (2.0, 4.0, 6.0))
    assert happened.tolist() == [[True, False, False], [False, True, False], [False, False, True]]


def test_survival_without_a_curve_is_one() -> None:
    assert evaluate_survival({}, np.array([0.0, 5.0])).tolist() == [1.0, 1.0]
    curve = {"times": (2.0,), "survival": (0.4,)}
    assert evaluate_survival(curve, np.array([1.0, 2.0])).tolist() == [1.0, 0.4]
    assert evaluate_survival(curve, np.array([2.0, 2.1]), left=True).tolist() == [1.0, 0.4]
