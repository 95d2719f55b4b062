"""Hazards in intervals, by hand."""

from __future__ import annotations

from math import log

import pytest
import torch

from polytask.tasks.hazard_criterion import (
    HazardCriterion,
    compute_expected_time,
    compute_log_survival,
    interpolate_survival,
    mark_hazard_intervals,
)
from polytask.tasks.target import Target

BINS = (2.0, 4.0)


@pytest.mark.parametrize(
    ("time", "event", "at_risk", "happened"),
    [
        (0.0, 1, [True, False], [True, False]),
        (0.0, 0, [False, False], [False, False]),
        (0.9, 0, [False, False], [False, False]),
        (1.0, 0, [True, False], [False, False]),
        (2.0, 1, [True, False], [True, False]),
        (2.9, 0, [True, False], [False, False]),
        (3.0, 0, [True, True], [False, False]),
        (2.1, 1, [True, True], [False, True]),
        (4.0, 1, [True, True], [False, True]),
        (9.0, 1, [True, True], [False, False]),
    ],
)
def test_an_interval_counts_who_had_the_event_in_it_or_passed_its_middle(
    time: float, event: int, at_risk: list[bool], happened: list[bool]
) -> None:
    found = mark_hazard_intervals(torch.tensor([[time, event]]), BINS)
    assert found[0].tolist() == [at_risk]
    assert found[1].tolist() == [happened]


def test_the_loss_is_the_likelihood_of_every_interval_at_risk() -> None:
    value = torch.tensor([[1.0, 1.0], [3.5, 0.0], [0.5, 0.0], [3.0, 1.0]])
    target = Target(value, torch.tensor([True, True, True, False]))
    odds = torch.tensor([[log(3), 0.0]]).repeat(4, 1)
    criterion = HazardCriterion(BINS, 0.5)
    total, count = criterion(odds, target, ["s"] * 4)
    assert (float(count), float(criterion.count(target, ["s"] * 4))) == (2.0, 2.0)
    assert float(total) == pytest.approx((log(4 / 3) + log(4) + log(2)) / 0.5)


def test_nobody_at_risk_is_absent() -> None:
    target = Target(torch.tensor([[0.5, 0.0]]), torch.tensor([True]))
    total, count = HazardCriterion(BINS, 1.0)(torch.zeros(1, 2, requires_grad=True), target, ["s"])
    assert (float(total), float(count), total.requires_grad) == (0.0, 0.0, False)
    alone = Target(torch.tensor([[1.5, 0.0]]), torch.tensor([True]))
    assert float(HazardCriterion(BINS, 1.0)(torch.zeros(1, 2), alone, ["s"])[0]) == pytest.approx(log(2))


def test_survival_is_even_inside_an_interval_and_unknown_past_the_last() -> None:
    output = torch.logit(torch.tensor([[0.2, 0.5]]))
    assert compute_log_survival(output).exp()[0].tolist() == pytest.approx([0.8, 0.4])
    found = interpolate_survival(output, (2.0, 6.0), (0.0, 1.0, 2.0, 3.0, 6.0, 6.1))[0]
    expected = [1.0, 0.8**0.5, 0.8, 0.8 * 0.5**0.25, 0.4]
    assert found[:5].tolist() == pytest.approx(expected, rel=1e-5)
    assert bool(found[5].isnan())
    assert interpolate_survival(output, (2.0, 6.0), ()).shape == (1, 0)


def test_the_expected_time_is_the_area_below_the_survival() -> None:
    output = torch.logit(torch.tensor([[0.2, 0.5]]))
    assert float(compute_expected_time(output, (2.0, 6.0))[0]) == pytest.approx(2 * 0.9 + 4 * 0.6)
