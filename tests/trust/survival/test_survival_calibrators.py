"""Calibrating curves by percentiles and probabilities by horizon."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from polytask.kinds.step_curves import estimate_censoring
from polytask.tasks.survival import Survival
from polytask.trust.survival.curves import (
    CURVE_KEY,
    MAX_CURVE_POINTS,
    SurvivalCurves,
    add_curves,
    list_curve_times,
)
from polytask.trust.survival.horizon_calibrator import HorizonCalibrator, fit_horizons, pool_falling
from polytask.trust.survival.percentile_calibrator import MAX_KNOTS, fit_percentiles
from tests.trust.survival.simulate import HORIZONS, draw_survival, make_cox_task


def test_curves_are_straight_in_the_cumulative_hazard_and_end_where_follow_up_ends() -> None:
    curves = SurvivalCurves.of(np.array([0.0, 10.0, 20.0]), np.array([[0.1, 0.2, 0.5], [0.0, 0.5, 0.4]]))
    assert curves.end == 20
    at = curves.evaluate(np.array([5.0, 25.0]))
    assert at == pytest.approx([1 - 0.8**0.5, 0.5]), "the second curve does not fall"
    times = curves.find_quantiles(np.array([1 - 0.8**0.5, 0.2, 0.9]))
    assert times[0] == pytest.approx([5, 10, 20])


def test_curves_of_a_cox_model_follow_its_baseline_and_those_of_hazards_its_horizons() -> None:
    cox = make_cox_task()
    told = add_curves(cox, {"risk": np.array([0.0, 1.0]), "p": np.zeros((2, 2))}, list_curve_times(cox))
    assert told[CURVE_KEY][:, -1] == pytest.approx(1 - np.exp([-3.0, -3.0 * np.e]))
    many = Survival("os", "subject", baseline={"times": tuple(range(1000)), "hazard": tuple(range(1000))})
    assert len(list_curve_times(many)) == MAX_CURVE_POINTS
    assert list_curve_times(many)[-1] == 999
    assert not len(list_curve_times(Survival("os", "subject", horizons=(6.0,))))
    hazard = Survival("os", "subject", loss="hazard", horizons=(9.0, 6.0, 40.0), bins=(5.0, 10.0, 20.0))
    p = np.array([[0.4, 0.3, np.nan]])
    assert list_curve_times(hazard).tolist() == [6, 9]
    assert add_curves(hazard, {"risk": np.zeros(1), "p": p}, np.zeros(0))[CURVE_KEY].tolist() == [[0.3, 0.4]]


def test_percentiles_become_the_shares_that_were_seen() -> None:
    """By hand: events when 0.2, 0.4 and 0.8 were told, one lost at 0.4: 1/4, 1/2, then nobody else; times 4/5."""
    fitted = fit_percentiles(np.array([0.2, 0.4, 0.4, 0.8]), np.array([True, True, False, True]))
    assert fitted.predicted == (0.2, 0.4, 0.8)
    assert fitted.observed == pytest.approx((0.2, 0.4, 0.8))
    assert fitted.apply(np.array([0.1, 0.3, 0.9, np.nan]))[:3] == pytest.approx([0.1, 0.3, 0.9])
    high = fit_percentiles(np.array([0.1, 0.2, 0.3]), np.ones(3, bool))
    assert high.observed == pytest.approx((0.25, 0.5, 0.75))
    inside = high.apply(np.linspace(0, 1, 50))
    assert (np.diff(inside) > 0).all(), "the ranking stays"


def test_curves_that_are_too_steep_are_set_right() -> None:
    answers, _ = draw_survival(0, 3000, told=1.0)
    steep = make_cox_task(factor=2.0)
    told = add_curves(steep, {**answers.prediction}, list_curve_times(steep))
    curves = SurvivalCurves.of(list_curve_times(steep), told[CURVE_KEY])
    times, events = answers.value.T
    fitted = fit_percentiles(curves.evaluate(times), (events > 0) & (times <= curves.end))
    assert len(fitted.predicted) <= MAX_KNOTS
    # Twice the hazard: the map is 1 − √(1 − F).
    asked = np.array([0.2, 0.5, 0.8])
    assert fitted.apply(asked) == pytest.approx(1 - np.sqrt(1 - asked), abs=0.03)


def test_a_horizon_gets_shift_and_slope_of_the_weighted_likelihood() -> None:
    answers, _ = draw_survival(4, 400, 0.05, told=2.0)
    times, events = answers.value.T
    p = answers.prediction["p"]
    censoring = estimate_censoring(times, events)
    fitted = fit_horizons(p, HORIZONS, times, events, censoring)
    t = HORIZONS[1]
    case = (times <= t) & (events > 0)
    keep = case | (times > t)
    lost = np.array(
        [
            np.prod([1 - 1 / (times >= c).sum() for c in times[(events == 0) & (times < t_own)]])
            for t_own in np.minimum(times[keep], t + 1e-9)
        ]
    )
    own = p[keep, 1].clip(1e-6, 1 - 1e-6)
    z, weight = np.log(own / (1 - own)), 1 / lost

    def misfit(x: np.ndarray) -> float:
        told = x[0] + np.exp(x[1]) * z
        return float((weight * (np.logaddexp(0, told) - case[keep] * told)).sum() + 0.25 * (x @ x))

    assert fitted.numbers[1] == pytest.approx(minimize(misfit, np.zeros(2)).x, abs=1e-3)
    assert np.exp(fitted.numbers[1][1]) < 0.75, "a model that is too sure is made less sure"
    undefined = fit_horizons(np.full((400, 1), np.nan), [6.0], times, events, censoring)
    assert undefined.numbers == ((0.0, 0.0),)


def test_later_horizons_are_never_less_probable() -> None:
    p = np.array([[0.3, 0.2, 0.1], [0.1, 0.4, 0.2]])
    assert pool_falling(p) == pytest.approx(np.array([[0.2, 0.2, 0.2], [0.1, 0.3, 0.3]]))
    moved = HorizonCalibrator(((1.0, 0.0), (-1.0, 0.0), (0.0, 0.0))).apply(
        np.array([[0.5, 0.5, np.nan], [0.1, 0.9, np.nan]])
    )
    assert moved[0, 0] == pytest.approx(moved[0, 1]) == pytest.approx(0.5)
    assert moved[1, 0] < moved[1, 1]
    assert np.isnan(moved[:, 2]).all()
