"""Cox's model against published coefficients and lifelines 0.30.3."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.statistics.cox_model import compute_cox_likelihood, compute_cox_terms, fit_cox

lifelines = pytest.importorskip("lifelines")

NAMES = ["fin", "age", "race", "wexp", "mar", "paro", "prio"]
# Rossi's recidivism data (432 convicts, 114 arrests, many ties), Efron: R survival::coxph, printed by Fox,
# "Cox Proportional-Hazards Regression for Survival Data" (2002), to the digits there.
ROSSI = [-0.3794, -0.0574, 0.3139, -0.1498, -0.4337, -0.0849, 0.0915]
ERRORS = [0.1914, 0.0220, 0.3080, 0.2122, 0.3819, 0.1958, 0.0287]
LIKELIHOOD = -658.7477


def rossi() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from lifelines.datasets import load_rossi

    table = load_rossi()
    return table[NAMES].to_numpy(float), table["week"].to_numpy(float), table["arrest"].to_numpy(float)


def test_the_published_coefficients_of_rossi() -> None:
    x, times, events = rossi()
    found = fit_cox(x, times, events)
    assert found.converged
    assert found.coefficients == pytest.approx(ROSSI, abs=6e-5)
    assert np.sqrt(np.diag(found.covariance)) == pytest.approx(ERRORS, abs=6e-5)
    assert found.log_likelihood == pytest.approx(LIKELIHOOD, abs=1e-3)
    assert compute_cox_likelihood(x @ found.coefficients, times, events) == pytest.approx(
        found.log_likelihood
    )


def test_a_penalty_is_that_of_lifelines() -> None:
    """lifelines divides the likelihood by n and penalizes n-free standardized columns: penalty = n · penalizer."""
    from lifelines import CoxPHFitter
    from lifelines.datasets import load_rossi

    x, times, events = rossi()
    scale = x.std(0, ddof=1)
    fitted = CoxPHFitter(penalizer=0.1).fit(load_rossi(), "week", "arrest")
    found = fit_cox(x / scale, times, events, penalty=0.1 * len(x))
    assert found.coefficients / scale == pytest.approx(fitted.params_[NAMES].to_numpy(), rel=1e-3)


def test_more_columns_than_events_fit_with_a_penalty() -> None:
    random = np.random.default_rng(0)
    x, times = random.normal(size=(30, 80)), random.exponential(size=30)
    found = fit_cox(x, times, np.ones(30), penalty=5.0)
    assert found.converged
    assert np.isfinite(found.coefficients).all()
    order = np.argsort(-times)
    _, slope, _ = compute_cox_terms(x[order], times[order], np.ones(30, bool), found.coefficients)
    assert slope == pytest.approx(5.0 * found.coefficients, abs=1e-4)


def test_a_group_without_events_has_no_maximum() -> None:
    group, times = np.repeat([0.0, 1.0], 10), np.arange(20.0)
    assert not fit_cox(group, times, 1 - group).converged
    assert not fit_cox(group, times, group).converged, (
        "whoever has an event was alone at risk: nothing to learn from"
    )


def test_nobody_with_an_event() -> None:
    found = fit_cox(np.ones((3, 1)), [1, 2, 3], [0, 0, 0])
    assert (found.coefficients == 0).all()
    assert found.log_likelihood == 0
    assert not found.converged


def test_one_column_that_runs_to_infinity_is_enough_to_have_no_maximum() -> None:
    random = np.random.default_rng(2)
    group, times = np.repeat([0.0, 1.0], 30), random.permutation(60.0 + np.arange(60))
    steady = random.normal(size=60)
    found = fit_cox(np.column_stack([steady, group]), times, 1 - group)
    assert abs(found.coefficients[0]) < 2
    assert not found.converged
    assert fit_cox(steady, times, 1 - group).converged


def test_no_row_is_one_clear_line() -> None:
    with pytest.raises(PolytaskError, match="no row to fit; expected at least one subject with a known time"):
        fit_cox(np.zeros((0, 2)), [], [])


def test_nobody_at_all_has_a_likelihood_of_1() -> None:
    assert compute_cox_likelihood([], [], []) == 0
