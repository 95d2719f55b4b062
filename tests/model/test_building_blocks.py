"""Layers written for speed, against torch's own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from polytask.model.building_blocks import (
    Decoder,
    Encoder,
    EncoderSpec,
    MeanPool,
    ResidualBlock,
    make_norm,
    normalize_groups,
)


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


FLAT = EncoderSpec(
    3, 1, (8, 16, 16), (1, 2, 1), ((1, 1, 1), (1, 2, 2), (2, 2, 2)), ((1, 3, 3), (1, 3, 3), (3, 3, 3))
)


def test_kernels_follow_their_stage_in_encoder_and_decoder() -> None:
    encoder, decoder = Encoder(FLAT), Decoder(3, FLAT.widths, 2, FLAT.kernels)
    shapes = {name: tuple(p.shape[2:]) for name, p in encoder.named_parameters() if p.dim() == 5}
    for stage, kernel in enumerate(FLAT.kernels):
        found = {
            shape for name, shape in shapes.items() if name.startswith(f"stages.{stage}.") and max(shape) > 1
        }
        assert found == {kernel}
    # The deepest level has no skip; its step joins the maps of level 1, the next one those of level 0.
    assert [tuple(s.join[0].weight.shape[2:]) for s in decoder.steps] == [(1, 3, 3), (1, 3, 3)]  # type: ignore[index, union-attr]
    x = torch.randn(1, 1, 6, 16, 16)
    assert [tuple(m.shape[2:]) for m in encoder(x)] == [(6, 16, 16), (6, 8, 8), (3, 4, 4)]
    assert [tuple(m.shape[2:]) for m in decoder(encoder(x))] == [(6, 16, 16), (6, 8, 8)]


def test_a_flat_kernel_does_not_reach_into_other_slices() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(3, 1, 8, (1, 1, 1), (1, 3, 3)).body[0]
    assert isinstance(block, nn.Sequential)
    x = torch.zeros(1, 1, 5, 8, 8)
    x[:, :, 2] = torch.randn(8, 8)
    reached = block[0](x).abs().sum((0, 1, 3, 4)) > 0
    assert reached.tolist() == [False, False, True, False, False]


def test_without_kernels_the_network_is_the_one_of_earlier_versions() -> None:
    """The same names, shapes and first weights as with 3×3×3 written out."""
    plain = EncoderSpec(FLAT.dims, FLAT.planes, FLAT.widths, FLAT.blocks, FLAT.strides)
    torch.manual_seed(0)
    before = Encoder(plain).state_dict()
    torch.manual_seed(0)
    after = Encoder(EncoderSpec(3, 1, FLAT.widths, FLAT.blocks, FLAT.strides, ((3, 3, 3),) * 3)).state_dict()
    assert {n: tuple(p.shape) for n, p in before.items()} == {n: tuple(p.shape) for n, p in after.items()}
    assert all(torch.equal(p, after[n]) for n, p in before.items())
    assert tuple(before["stages.0.first.body.0.0.weight"].shape) == (8, 1, 3, 3, 3)


def test_a_norm_on_a_gpu_keeps_the_precision_of_its_maps() -> None:
    """CUDA's kernel wants weights in the precision of the maps; the result is that of float32, rounded."""
    norm = make_norm(16)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.normal_()
    assert isinstance(norm, nn.GroupNorm)
    x = torch.randn(2, 16, 5, 6, dtype=torch.bfloat16)
    found = normalize_groups(x.requires_grad_(), norm)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), norm(x.float()), atol=0.03, rtol=0.03)
    found.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in norm.parameters())
    assert torch.equal(norm(x.detach().float()), nn.GroupNorm.forward(norm, x.detach().float()))
