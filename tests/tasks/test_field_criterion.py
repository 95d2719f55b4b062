"""The loss of a dose, by hand."""

from __future__ import annotations

import pytest
import torch

from polytask.tasks.field_criterion import FieldCriterion, compute_histogram_distance
from polytask.tasks.target import Target


def make_target(region: torch.Tensor | None = None, known: bool = True) -> Target:
    value = torch.tensor([[[10.0, 20.0], [30.0, 40.0]]])
    return Target(value, torch.tensor([[known]]), region)


def test_the_error_is_a_mean_over_the_region_in_units_of_the_scale() -> None:
    criterion = FieldCriterion(10.0, 0.0, 0.5)
    output = torch.zeros(1, 1, 2, 2)
    assert [float(x) for x in criterion(output, make_target(), ["s"])] == [2.5 / 0.5, 1.0]
    one = torch.tensor([[[False, False], [True, False]]])
    assert [float(x) for x in criterion(output, make_target(one), ["s"])] == [3.0 / 0.5, 1.0]
    assert float(criterion.count(make_target(one), ["s"])) == 1.0


def test_a_dose_that_is_unknown_or_counts_nowhere_is_absent() -> None:
    criterion = FieldCriterion(10.0, 0.0, 1.0)
    output = torch.zeros(1, 1, 2, 2)
    for target in (make_target(known=False), make_target(torch.zeros(1, 2, 2, dtype=torch.bool))):
        assert float(criterion.count(target, ["s"])) == 0
        assert [float(x) for x in criterion(output, target, ["s"])] == [0, 0]


def test_coarse_levels_weigh_less_and_one_outside_the_region_costs_nothing() -> None:
    criterion = FieldCriterion(10.0, 0.0, 1.0)
    outputs = [torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 1, 1)]
    assert float(criterion(outputs, make_target(), ["s"])[0]) == pytest.approx((2 * 2.5 + 1.0) / 3)
    region = torch.tensor([[[False, True], [True, True]]])
    assert float(criterion(outputs, make_target(region), ["s"])[0]) == pytest.approx(2 * 3.0 / 3)


def test_the_distance_of_histograms_is_the_area_between_them() -> None:
    assert float(compute_histogram_distance(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 5.0]))) == 1.5
    assert float(compute_histogram_distance(torch.tensor([5.0, 2.0]), torch.tensor([2.0, 5.0]))) == 0.0


def test_histograms_are_averaged_over_the_structures_and_weighed() -> None:
    structures = torch.tensor([[[[1, 0], [0, 0]], [[0, 0], [1, 1]], [[0, 0], [0, 0]]]]).bool()
    value = torch.tensor([[[10.0, 20.0], [30.0, 40.0]]])
    target = Target(value, torch.tensor([[True]]), None, structures)
    output = torch.zeros(1, 1, 2, 2)
    plain = float(FieldCriterion(10.0, 0.0, 1.0)(output, target, ["s"])[0])
    found = float(FieldCriterion(10.0, 0.5, 1.0)(output, target, ["s"])[0])
    assert (plain, found) == (2.5, pytest.approx(2.5 + 0.5 * (1.0 + 3.5) / 2))
