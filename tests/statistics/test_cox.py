"""Cox's model worked by hand: terms of the likelihood, its maximum, and where there is none."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from scipy.optimize import brentq

from polytask.statistics.cox_model import compute_cox_likelihood, compute_cox_terms, fit_cox

X, TIMES, EVENTS = [1.0, 0.0, 1.0], [1.0, 2.0, 3.0], [1, 1, 0]
"""The likelihood is u / (2u + 1) · 1 / (1 + u) with u = exp β, largest where 2u² = 1."""
U = sqrt(0.5)
INFORMATION = 2 * U / (2 * U + 1) ** 2 + U / (1 + U) ** 2


def test_terms_of_events_that_follow_one_another() -> None:
    """Weights 1, 2 and 4 of those at risk, first the one with the longest time."""
    x = np.array([[0.0], [1.0], [2.0]])
    value, slope, information = compute_cox_terms(
        x, np.array([3.0, 2.0, 1.0]), np.ones(3, bool), np.array([log(2)])
    )
    assert value == pytest.approx(log(2 / 3) + log(4 / 7))
    assert slope == pytest.approx([(1 - 2 / 3) + (2 - 10 / 7)])
    assert information == pytest.approx(np.array([[2 / 9 + 18 / 7 - (10 / 7) ** 2]]))


def test_terms_of_two_events_at_once() -> None:
    """The second of the two sees each of them by half: sums 3, then 2; means 1, then 3/4."""
    x, dead = np.array([[0.0], [1.0], [2.0]]), np.array([False, True, True])
    value, slope, information = compute_cox_terms(x, np.array([2.0, 1.0, 1.0]), dead, np.zeros(1))
    assert value == pytest.approx(-log(3) - log(2))
    assert slope == pytest.approx([3 - 1 - 0.75])
    assert information == pytest.approx(np.array([[(5 / 3 - 1) + (2.5 / 2 - 0.75**2)]]))


def test_one_who_is_censored_at_the_time_of_an_event_was_at_risk() -> None:
    assert compute_cox_likelihood([0.0, 0.0, 0.0], [1, 1, 2], [1, 0, 0]) == pytest.approx(-log(3))
    assert compute_cox_likelihood([0.0, 0.0, 0.0], [2, 1, 2], [1, 0, 0]) == pytest.approx(-log(2))


def test_the_order_of_rows_and_a_shift_of_the_risk_do_not_matter() -> None:
    risk, times, events = np.log([4.0, 1.0, 2.0]), [1.0, 3.0, 2.0], [1, 1, 1]
    assert compute_cox_likelihood(risk, times, events) == pytest.approx(log(2 / 3) + log(4 / 7))
    assert compute_cox_likelihood(risk + 700, times, events) == pytest.approx(log(2 / 3) + log(4 / 7))
    assert compute_cox_likelihood(risk[::-1], times[::-1], events) == pytest.approx(log(2 / 3) + log(4 / 7))


def test_risks_are_taken_to_be_no_further_apart_than_500() -> None:
    assert compute_cox_likelihood([0.0, 499.0], [1, 2], [1, 0]) == pytest.approx(-499)
    assert compute_cox_likelihood([0.0, 900.0], [1, 2], [1, 0]) == pytest.approx(-500)


def test_the_maximum_by_hand() -> None:
    found = fit_cox(X, TIMES, EVENTS)
    assert found.coefficients == pytest.approx([log(U)], abs=1e-6)
    assert found.covariance == pytest.approx(np.array([[1 / INFORMATION]]), rel=1e-5)
    assert found.log_likelihood == pytest.approx(log(U / (2 * U + 1) / (1 + U)))
    assert found.converged


def test_a_penalty_is_half_the_square() -> None:
    """Its slope is the coefficient, its curvature 1; the likelihood is told without it."""
    root = brentq(lambda b: 1 / (2 * np.exp(b) + 1) - np.exp(b) / (1 + np.exp(b)) - 0.7 * b, -2, 2)
    u = np.exp(root)
    found = fit_cox(X, TIMES, EVENTS, penalty=0.7)
    assert found.coefficients == pytest.approx([root], abs=1e-5)
    information = 2 * u / (2 * u + 1) ** 2 + u / (1 + u) ** 2
    assert found.covariance == pytest.approx(np.array([[1 / (information + 0.7)]]), rel=1e-4)
    assert found.log_likelihood == pytest.approx(log(u / (2 * u + 1) / (1 + u)))
    assert found.converged


@pytest.mark.parametrize(("far", "there"), [(43.0, True), (43.5, False), (-42.0, True), (-42.5, False)])
def test_a_column_from_one_end_to_the_other_moves_the_log_hazard_by_less_than_15(
    far: float, there: bool
) -> None:
    """One who left before any event changes the width of the column and nothing else; β is -0.3466."""
    found = fit_cox([*X, far], [*TIMES, 0.5], [*EVENTS, 0])
    assert found.coefficients == pytest.approx([log(U)], abs=1e-6)
    assert found.converged == there


def test_columns_that_say_the_same_have_no_single_maximum() -> None:
    twice = np.column_stack([X, X])
    found = fit_cox(twice, TIMES, EVENTS)
    assert not found.converged
    assert found.coefficients.sum() == pytest.approx(log(U), abs=1e-6)
    assert fit_cox(twice, TIMES, EVENTS, penalty=0.1).converged


def test_a_model_without_columns_is_the_null_model() -> None:
    found = fit_cox(np.zeros((3, 0)), TIMES, EVENTS)
    assert (found.coefficients.shape, found.covariance.shape, found.converged) == ((0,), (0, 0), True)
    assert found.log_likelihood == pytest.approx(-log(3) - log(2))


def test_separated_groups_run_to_infinity() -> None:
    assert not fit_cox([1.0, 1.0, 0.0, 0.0], [1, 2, 3, 4], [1, 1, 0, 0]).converged
