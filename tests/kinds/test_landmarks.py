"""What a plan says of landmarks: the censoring of those at risk there."""

from __future__ import annotations

import numpy as np
import pytest
from lifelines import KaplanMeierFitter

from polytask.kinds.kind import MissingInTrain
from polytask.kinds.landmarks import decide_landmarks
from polytask.kinds.plan_reasons import PlanReasons

FIRST = [(10.0, 1.0), (12.0, 0.0), (20.0, 1.0), (31.0, 0.0), (44.0, 1.0), (50.0, 0.0)]
LATER = [(2.0, 0.0), (10.0, 1.0), (21.0, 0.0), (34.0, 1.0)]


def test_each_landmark_has_the_censoring_curve_of_those_at_risk_there() -> None:
    why = PlanReasons()
    curves = decide_landmarks({"first": np.array(FIRST), "later": np.array(LATER)}, why)
    for visit, pairs in (("first", FIRST), ("later", LATER)):
        times, events = np.array(pairs).T
        fitted = KaplanMeierFitter().fit(times, 1 - events)
        expected = fitted.survival_function_at_times(curves[visit]["times"]).to_numpy()
        np.testing.assert_allclose(curves[visit]["survival"], expected, atol=2e-4)
    assert "first 6 (3), later 4 (2)" in why.reasons["landmarks"]


def test_nobody_at_risk_or_no_event_after_a_landmark_is_an_error() -> None:
    with pytest.raises(MissingInTrain, match="nobody is at risk at landmark 'later'"):
        decide_landmarks({"first": np.array(FIRST), "later": np.zeros((0, 2))}, PlanReasons())
    with pytest.raises(MissingInTrain, match="no event is observed after landmark 'later'"):
        decide_landmarks({"first": np.array(FIRST), "later": np.array([(3.0, 0.0)])}, PlanReasons())
