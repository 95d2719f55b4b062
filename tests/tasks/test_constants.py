"""Intervals of a discrete hazard, and the rates in them."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.kinds.constants import constant_hazard, hazard_bins, hazard_rates


def test_intervals_end_at_quantiles_of_the_events_and_the_last_at_the_last_event() -> None:
    assert hazard_bins([1, 2, 3, 4, 9], [1, 1, 1, 1, 0], count=2) == (2.5, 4.0)
    assert hazard_bins([1, 2, 3], [1, 0, 1], count=10) == (2.0, 3.0), "no more intervals than events"


def test_without_events_one_interval_reaches_to_the_end_of_follow_up() -> None:
    assert hazard_bins([4, 7], [0, 0]) == (7.0,)
    assert hazard_bins([], []) == (1.0,)
    assert hazard_bins([0.0, 0.0], [1, 1]) == (1.0,), "events on day 0 end no interval"


def test_rates_have_half_an_event_added() -> None:
    times, events, bins = [1.0, 2.0, 3.0, 3.0], [1, 0, 1, 0], (1.5, 3.0)
    found = hazard_rates(times, events, bins)
    assert found[0] == pytest.approx((1 + 0.5) / (4 + 1))
    assert 0 < found[1] < 1
    assert constant_hazard(times, events, bins) > 0
    assert constant_hazard([], [], bins) == 1.0
    assert np.isfinite(hazard_rates([], [], bins)).all()
