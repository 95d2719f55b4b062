"""What losses of all kinds share."""

from __future__ import annotations

import pytest
import torch

from polytask.tasks.criteria import (
    ItemCriterion,
    compute_level_weights,
    list_output_levels,
    make_absent_loss,
    shrink_to_grid,
)
from polytask.tasks.target import Target


def test_levels_weigh_half_as_much_each_and_one_together() -> None:
    assert compute_level_weights(1) == [1.0]
    assert compute_level_weights(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_one_output_is_one_level() -> None:
    one = torch.zeros(2)
    assert list_output_levels(one)[0] is one
    assert len(list_output_levels((one, one))) == 2


def test_shrinking_picks_voxels_of_the_last_axes() -> None:
    x = torch.arange(10)
    assert shrink_to_grid(x, [4]).tolist() == [0, 2, 5, 7]
    assert shrink_to_grid(x, [10]) is x
    assert shrink_to_grid(x, [1]).tolist() == [0]
    table = torch.arange(24).reshape(2, 3, 4)
    assert shrink_to_grid(table, [3, 2]).tolist() == table[:, :, [0, 2]].tolist()
    assert shrink_to_grid(table, [2, 4]).tolist() == table[:, [0, 1]].tolist()
    assert shrink_to_grid(table, [1, 1]).tolist() == [[[0]], [[12]]]


def test_an_item_criterion_adds_up_what_is_known() -> None:
    criterion = ItemCriterion(lambda output, value: (output[:, 0] - value).abs(), 0.5)
    target = Target(torch.tensor([1.0, float("nan"), 5.0]), torch.tensor([True, False, True]))
    total, count = criterion(torch.zeros(3, 1), target, ["a", "b", "c"])
    assert (float(total), float(count)) == (12.0, 2.0)
    assert float(criterion.count(target, ["a", "b", "c"])) == 2.0
    one = Target(torch.tensor([1.0, 2.0]), torch.tensor([False, True]))
    assert [float(x) for x in criterion(torch.zeros(2, 1), one, ["a", "b"])] == [4.0, 1.0]


def test_what_is_absent_is_zero_without_a_graph() -> None:
    for output in (torch.ones(1, requires_grad=True), [torch.ones(1, requires_grad=True)]):
        total, count = make_absent_loss(output)
        assert (float(total), float(count), total.requires_grad) == (0.0, 0.0, False)
