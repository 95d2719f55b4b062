"""Layers written for speed, against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from polytask.model.building_blocks import Decoder, MeanPool, ResidualBlock


@pytest.mark.parametrize(
    ("stride", "space"),
    [((2, 2, 2), (7, 8, 5)), ((1, 2), (4, 9)), ((3, 1, 2), (7, 5, 4)), ((2, 2), (6, 8)), ((3, 2), (8, 3))],
)
def test_mean_pool_is_average_pooling_that_counts_what_is_there(
    stride: tuple[int, ...], space: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, *space, dtype=torch.float64, requires_grad=True)
    wanted = (nn.AvgPool2d, nn.AvgPool3d)[len(space) - 2](stride, ceil_mode=True)(x)  # type: ignore[arg-type]
    found = MeanPool(stride)(x)
    torch.testing.assert_close(found, wanted)
    pull = torch.randn_like(wanted)
    (mine,), (theirs,) = (torch.autograd.grad(y, x, pull) for y in (found, wanted))
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("dims", [2, 3])
def test_no_full_resolution_map_leaves_bf16(dims: int) -> None:
    """A copy to float32 and back costs as much as a layer."""
    network = nn.ModuleList([ResidualBlock(dims, 8, 16, (2,) * dims), Decoder(dims, [8, 16])])
    seen: dict[str, torch.dtype] = {}
    for name, module in network.named_modules():
        if name:
            module.register_forward_pre_hook(
                lambda _, inputs, name=name: seen.update(
                    {name: inputs[0].dtype} if isinstance(inputs[0], torch.Tensor) else {}
                )
            )
    x = torch.randn(2, 8, *[8] * dims, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        maps = network[1]([x, network[0](x)])
    assert maps[0].dtype == torch.bfloat16
    assert "1.steps.0.join" in seen
    assert {n for n, dtype in seen.items() if dtype != torch.bfloat16} == set()
