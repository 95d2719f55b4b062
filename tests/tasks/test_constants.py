"""Intervals of a discrete hazard, and the rates in them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polytask.kinds.constant_losses import choose_hazard_bins, estimate_hazard_rates, find_hazard_constant
from polytask.tasks.hazard_criterion import interpolate_survival


def test_intervals_end_at_quantiles_of_the_events_and_the_last_at_the_last_event() -> None:
    assert choose_hazard_bins([1, 2, 3, 4, 9], [1, 1, 1, 1, 0], count=2) == (2.5, 4.0)
    assert choose_hazard_bins([1, 2, 3], [1, 0, 1], count=10) == (2.0, 3.0), "no more intervals than events"


def test_without_events_one_interval_reaches_to_the_end_of_follow_up() -> None:
    assert choose_hazard_bins([4, 7], [0, 0]) == (7.0,)
    assert choose_hazard_bins([], []) == (1.0,)
    assert choose_hazard_bins([0.0, 0.0], [1, 1]) == (1.0,), "events on day 0 end no interval"


def test_rates_have_half_an_event_added() -> None:
    times, events, bins = [1.0, 2.0, 3.0, 3.0], [1, 0, 1, 0], (1.5, 3.0)
    found = estimate_hazard_rates(times, events, bins)
    assert found[0] == pytest.approx((1 + 0.5) / (4 + 1))
    assert 0 < found[1] < 1
    assert find_hazard_constant(times, events, bins) > 0
    assert find_hazard_constant([], [], bins) == 1.0
    assert np.isfinite(estimate_hazard_rates([], [], bins)).all()


def test_intervals_that_end_at_the_last_event_do_not_bend_the_risk_before_it() -> None:
    """Exponential times with a mean of 800 days, followed for 200 to 1,200: the risk by 1,095 days is 0.746. A last
    interval that is stretched to a horizon of 5,000 days spreads its events over years in which nobody was seen."""
    random, horizon = np.random.default_rng(0), (1095.0,)
    truth = 1 - np.exp(-horizon[0] / 800)

    def find_bias(stretched: bool) -> float:
        errors = []
        for _ in range(60):
            hidden, lost = random.exponential(800, 200), random.uniform(200, 1200, 200)
            times, events = np.minimum(hidden, lost), (hidden <= lost).astype(float)
            bins = choose_hazard_bins(times, events)
            bins = (*bins[:-1], 5000.0) if stretched else bins
            rates = torch.tensor(estimate_hazard_rates(times, events, bins), dtype=torch.float64)
            p = 1 - float(interpolate_survival(rates.logit()[None], bins, horizon)[0, 0])
            if np.isfinite(p):
                errors.append(p - truth)
        return float(np.mean(errors))

    assert find_bias(stretched=True) < -0.04
    assert abs(find_bias(stretched=False)) < 0.03
