from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from polytask.statistics.uncertainty import Uncertainty

SURE = st.builds(
    Uncertainty, st.floats(0.1, 5), st.floats(0, 1), st.sampled_from([0.0, 1.0, 2.0, 6.0]), st.floats(1, 200)
)


@given(SURE, st.floats(-20, 20), st.floats(1e-4, 0.5))
@settings(max_examples=150, deadline=None)
def test_p_is_below_alpha_exactly_when_the_interval_excludes_0(
    sure: Uncertainty, estimate: float, alpha: float
) -> None:
    p, margin = float(sure.p(estimate)), float(sure.margin(alpha))
    assert 0 <= p <= 1
    if abs(abs(estimate) - margin) > 1e-6 * margin:
        assert (p < alpha) == (abs(estimate) > margin)


@given(SURE)
@settings(max_examples=60, deadline=None)
def test_smaller_levels_have_wider_intervals_and_fewer_degrees(sure: Uncertainty) -> None:
    levels = np.array([0.5, 0.05, 0.02, 0.005, 0.0001])
    margins, freedoms = sure.margin(levels), sure.freedom(levels)
    assert (np.diff(margins) > 0).all()
    assert (np.diff(freedoms) <= 1e-9).all()
    assert (freedoms >= min(x for x in (sure.by_seeds, sure.by_subjects) if x) - 1e-9).all()


def test_without_seeds_it_is_the_t_test() -> None:
    sure = Uncertainty(2.0, 0.0, 0.0, 17.0)
    assert float(sure.p(3.3)) == pytest.approx(2 * stats.t.sf(1.65, 17))
    assert float(sure.p(-3.3)) == float(sure.p(3.3))
    assert float(sure.margin(0.05)) == pytest.approx(2 * 2.1098, abs=1e-3)


def test_only_seeds_is_the_t_test_at_every_level() -> None:
    sure = Uncertainty(1.0, 1.0, 2.0, 1e9)
    for alpha, t in ((0.05, 4.3027), (0.01, 9.9248)):
        assert float(sure.margin(alpha)) == pytest.approx(t, abs=1e-3)
    assert float(sure.p(4.3027)) == pytest.approx(0.05, abs=1e-5)


def test_no_error() -> None:
    none = Uncertainty(0.0, 0.0, 0.0, 20.0)
    assert float(none.p(0.0)) == 1
    assert np.isnan(none.p(0.1))
    assert float(none.margin()) == 0
    assert np.isnan(Uncertainty(float("nan"), 0.0, 0.0, float("nan")).p(0.1))
