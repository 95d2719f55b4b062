"""Where fresh heads start, the 1×1 convolution as a matrix product, and what the losses share."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv3d

from polytask.tasks.heads_and_losses import (
    CumulativeHead,
    ItemCriterion,
    Pointwise,
    ScoreHead,
    compute_level_weights,
    list_output_levels,
    make_absent_loss,
    make_autocast,
    make_linear_head,
    make_voxel_head,
    shrink_to_grid,
)
from polytask.tasks.target import Target


def find_weight(head: nn.Module) -> Tensor:
    return next(p.data for name, p in head.named_parameters() if name.endswith("weight"))


@pytest.mark.parametrize("features", [100, 400])
def test_outputs_of_unit_features_spread_by_a_tenth(features: int) -> None:
    torch.manual_seed(0)
    for head in (make_linear_head(features, [0.0] * 200), make_voxel_head(features, 3, [0.0] * 200)):
        found = find_weight(head)
        assert float(found.std(correction=0)) == pytest.approx(0.1 / features**0.5, rel=0.02)
        assert abs(float(found.mean())) < 0.001
    many = torch.cat([find_weight(ScoreHead(features)).flatten() for _ in range(200)])
    assert float(many.std(correction=0)) == pytest.approx(0.1 / features**0.5, rel=0.02)


def test_biases_are_those_given_and_a_score_has_none() -> None:
    assert make_linear_head(3, [0.5, -2.0])(torch.zeros(1, 3)).tolist() == [[0.5, -2.0]]
    assert make_voxel_head(3, 2, [0.5, -2.0])(torch.zeros(1, 3, 1, 2)).flatten(2)[0].tolist() == [
        [0.5] * 2,
        [-2.0] * 2,
    ]
    assert ScoreHead(3)(torch.zeros(2, 3)).tolist() == [[0.0], [0.0]]


def test_cut_points_start_at_the_shares() -> None:
    cuts = CumulativeHead(4, [0.25, 0.5, 0.25]).cuts()
    assert cuts.tolist() == pytest.approx([-log(3), log(3)], rel=1e-5)


def test_cut_points_stay_finite_and_apart() -> None:
    assert CumulativeHead(4, [0.0, 1.0, 0.0]).cuts().tolist() == pytest.approx([-13.81551, 13.81551], abs=0.1)
    cuts = CumulativeHead(4, [0.5, 0.0, 0.5]).cuts().tolist()
    assert cuts == pytest.approx([0.0, 1e-4], rel=0.01, abs=1e-7)


def test_a_higher_score_passes_more_cut_points() -> None:
    head = CumulativeHead(4, [0.25, 0.5, 0.25])
    with torch.no_grad():
        find_weight(head).fill_(1.0)
    assert head(torch.ones(1, 4)).tolist()[0] == pytest.approx([4 + log(3), 4 - log(3)], rel=1e-5)


@pytest.mark.parametrize(("dims", "space"), [(2, (5, 4)), (3, (3, 5, 4))])
@pytest.mark.parametrize("bias", [False, True])
def test_it_is_the_convolution(dims: int, space: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    layer = Pointwise(6, 3, bias).double()
    if layer.bias is not None:
        torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 6, *space, dtype=torch.float64, requires_grad=True)
    kernel = layer.weight.view(3, 6, *[1] * dims)
    wanted = (conv2d, conv3d)[dims - 2](x, kernel, layer.bias)  # type: ignore[operator]
    found = layer(x)
    torch.testing.assert_close(found, wanted)
    pull = torch.randn_like(wanted)
    mine = torch.autograd.grad(found, [x, *layer.parameters()], pull)
    theirs = torch.autograd.grad(wanted, [x, *layer.parameters()], pull)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_no_item_and_bf16() -> None:
    layer = Pointwise(6, 3, True)
    assert layer(torch.zeros(0, 6, 2, 2)).shape == (0, 3, 2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(2, 6, 4, 4)).dtype == torch.bfloat16


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


def test_half_precision_is_used_where_the_plan_says_so() -> None:
    for precision, dtype in (("bf16", torch.bfloat16), ("float32", torch.float32)):
        with make_autocast(precision, torch.device("cpu")):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
