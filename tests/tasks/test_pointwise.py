"""A 1×1 convolution as a matrix product, against torch's convolution."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import conv2d, conv3d

from polytask.tasks.pointwise import Pointwise


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
