"""Strides, padding and what a network costs."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polytask.plan.rules.network_cost import (
    count_activation_bytes,
    count_decoder_flops,
    count_encoder_flops,
    count_kept_bytes,
    count_parameter_bytes,
)
from polytask.plan.rules.topology import (
    FIRST_STAGES,
    MAX_ENCODER_STAGES,
    TARGET_BOTTLENECK_EDGE,
    NetworkTopology,
    pad_to_strides,
    plan_kernels,
    plan_strides,
    plan_topology,
    scale_topology,
)
from polytask.plan.rules.view_sizes import count_view_flops


@pytest.mark.parametrize(
    ("size", "spacing", "total"),
    [
        ((48, 48, 48), (1, 1, 1), (8, 8, 8)),
        ((64, 64, 64), (1, 1, 1), (16, 16, 16)),
        ((24, 24, 24), (1, 1, 1), (4, 4, 4)),
        ((512, 512), (1, 1), (64, 64)),
        ((128, 128, 16), (1, 1, 5), (32, 32, 4)),
        ((64, 64, 3), (1, 1, 1), (16, 16, 1)),
        ((66, 66, 66), (1, 1, 1), (8, 8, 8)),
    ],
)
def test_total_stride(size: tuple[int, ...], spacing: tuple[float, ...], total: tuple[int, ...]) -> None:
    steps = plan_strides(size, spacing)
    assert steps[0] == (1,) * len(size)
    assert tuple(prod(s[a] for s in steps) for a in range(len(size))) == total


def test_a_coarse_axis_waits() -> None:
    assert plan_strides((128, 128, 16), (1, 1, 5))[1:4] == ((2, 2, 1), (2, 2, 1), (2, 2, 2))


@pytest.mark.parametrize(
    ("size", "spacing", "flat"),
    [
        ((16, 128, 128), (4.0, 0.5, 0.5), 3),
        ((16, 128, 128), (5.0, 1.0, 1.0), 2),
        ((40, 128, 128), (2.0, 1.0, 1.0), 1),
        ((40, 128, 128), (1.9, 1.0, 1.0), 0),
        ((64, 64, 64), (1.0, 1.0, 1.0), 0),
    ],
)
def test_kernels_are_flat_until_the_spacings_meet(
    size: tuple[int, ...], spacing: tuple[float, ...], flat: int
) -> None:
    """nnU-Net's rule: an axis gets 3 once its spacing is less than twice the finest, and keeps it; each halving of the
    other two axes doubles theirs: 4 / 0.5, 4 / 1, 4 / 2 and then 4 / 4."""
    kernels = plan_topology(size, spacing, 1, "cpu").kernels
    assert kernels[:flat] == ((1, 3, 3),) * flat
    assert set(kernels[flat:]) <= {(3, 3, 3)}
    assert (kernels == ()) == (flat == 0)


def test_kernels_of_pictures_and_of_short_fine_axes_stay_whole() -> None:
    assert plan_topology((256, 256), (1.0, 4.0), 1, "cpu").kernels == ()
    strides = plan_strides((3, 64, 64), (0.2, 1.0, 1.0))
    assert plan_kernels((3, 64, 64), (0.2, 1.0, 1.0), strides) == (), "three thin slices hold nobody back"


@settings(deadline=None)
@given(
    st.lists(st.integers(2, 300), min_size=3, max_size=3), st.lists(st.floats(0.3, 8), min_size=3, max_size=3)
)
def test_no_kernel_skips_voxels(size: list[int], spacing: list[float]) -> None:
    """An axis that is halved has a kernel of 3, and an axis that has one keeps it."""
    t = plan_topology(size, spacing, 1, "cpu")
    assert t.taps == tuple(prod(k) for k in t.kernels or [(3, 3, 3)] * len(t.widths))
    for before, kernel in zip(t.kernels, t.kernels[1:], strict=False):
        assert all(k >= b for k, b in zip(kernel, before, strict=True))
    for kernel, stride in zip(t.kernels, t.strides, strict=False):
        assert all(k == 3 for k, s in zip(kernel, stride, strict=True) if s > 1)


@settings(deadline=None)
@given(
    st.lists(st.integers(2, 400), min_size=2, max_size=3),
    st.lists(st.floats(0.3, 6), min_size=3, max_size=3),
)
def test_every_size_gets_a_topology_it_fits(size: list[int], spacing: list[float]) -> None:
    t = plan_topology(size, spacing[: len(size)], 1, "cpu")
    fit = pad_to_strides(size, t.total)
    assert len(t.strides) == len(t.widths) == len(t.blocks) <= MAX_ENCODER_STAGES[len(size)]
    assert all(f >= n and f % s == 0 for f, n, s in zip(fit, size, t.total, strict=True))
    assert all(f // s >= TARGET_BOTTLENECK_EDGE for f, s in zip(fit, t.total, strict=True)), (
        "4 positions, never the 2 of the bf16 trap"
    )
    assert all(f <= 1.25 * n for f, n in zip(fit, size, strict=True) if n >= 8), "padding wastes little"


def test_widths_by_device() -> None:
    assert plan_topology((64,) * 3, (1, 1, 1), 1, "cpu").widths == (16, 32, 64, 128, 256)
    large = plan_topology((160,) * 3, (1, 1, 1), 1, "gpu")
    assert large.widths == (32, 64, 128, 256, 320, 320)
    assert large.blocks == (1, 2, 2, 2, 2, 2)
    assert plan_topology((64,) * 3, (1, 1, 1), 1, "gpu-half").widths[0] == 16
    assert plan_topology((256, 256), (1, 1), 3, "cpu").widths == (32, 64, 128, 256, 512, 512, 512)
    assert scale_topology(large, "gpu-deep").blocks == (1, 3, 4, 6, 6, 6)
    assert scale_topology(large, "gpu-wide").widths == (64, 128, 256, 512, 640, 640)
    assert scale_topology(large, "gpu-wide").strides == large.strides


def test_widths_and_strides_by_topology() -> None:
    """Every stage but the first keeps its width; a strided network has no stage at full resolution."""
    full, narrow, strided, light = (
        plan_topology((64,) * 3, (1, 1, 1), 1, "cpu", None, topology) for topology in FIRST_STAGES
    )
    assert narrow == replace(full, widths=(8, 32, 64, 128, 256))
    assert strided.widths == full.widths[1:]
    assert strided.strides == full.strides[1:]
    assert strided.total == full.total
    assert light == replace(strided, widths=(16, 64, 128, 256))
    thick = plan_topology((64, 64, 16), (1, 1, 5), 1, "cpu", None, "strided")
    assert (thick.strides[0], thick.kernels[0]) == ((2, 2, 1), (3, 3, 1)), "only the fine axes are halved"
    assert plan_topology((10, 10, 10), (1, 1, 1), 1, "cpu", None, "strided").strides[0] == (1, 1, 1), (
        "too small"
    )
    assert plan_topology((256, 256), (1, 1), 3, "gpu", None, "strided").widths == (
        64,
        128,
        256,
        512,
        512,
        512,
    )
    assert plan_topology((256, 256), (1, 1), 3, "gpu", None, "strided").blocks[:2] == (1, 2)


def test_a_strided_network_needs_less_than_half_of_the_work_and_memory() -> None:
    full, strided = (
        plan_topology((64,) * 3, (1, 1, 1), 1, "cpu", None, topology) for topology in ("full", "strided")
    )
    size = (64,) * 3
    assert count_view_flops(strided, size, 1) < 0.5 * count_view_flops(full, size, 1)
    assert count_activation_bytes(strided, size, 1, "float32") < 0.5 * count_activation_bytes(
        full, size, 1, "float32"
    )
    assert count_parameter_bytes(strided, 1) == pytest.approx(count_parameter_bytes(full, 1), rel=0.01)


def test_flops_of_a_known_network() -> None:
    """64³, base 16, five levels, one decoder: 23 GFLOP forward an image on the prototype (46 for two)."""
    t = plan_topology((64,) * 3, (1, 1, 1), 1, "cpu")
    assert count_encoder_flops(t, (64,) * 3) + count_decoder_flops(t, (64,) * 3) == pytest.approx(
        23e9, rel=0.05
    )


@pytest.mark.parametrize(
    ("dims", "slices", "topology", "stages"),
    [
        *((dims, slices, "full", "residual") for dims, slices in ((2, 1.0), (3, 1.0), (3, 5.0))),
        *((dims, slices, "strided", "residual") for dims, slices in ((3, 1.0), (3, 5.0))),
        (2, 1.0, "light", "residual"),
        *((dims, slices, "full", "swin") for dims, slices in ((2, 1.0), (3, 5.0))),
        (3, 1.0, "strided", "swin"),
    ],
)
def test_cost_agrees_with_the_real_modules(
    dims: int, slices: float, topology: NetworkTopology, stages: str
) -> None:
    """Parameters, multiplications and what autograd keeps, all to a hundredth or two.

    Of transformers the multiplications to a tenth: windows at the border of an image are smaller.
    """
    import torch
    from torch.autograd.graph import saved_tensors_hooks
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from polytask.model.building_blocks import Decoder, Encoder, EncoderSpec
    from polytask.model.subvoxel_step import SubvoxelStep, count_enlarged_channels

    size = (32,) * dims
    planned = plan_topology(size, (slices, *(1.0,) * (dims - 1)), 2, "cpu", None, topology)
    t = replace(planned, encoder=stages)
    assert len(t.kernels) == (len(t.widths) if slices > 1 else 0)
    encoder = Encoder(EncoderSpec(dims, 2, t.widths, t.blocks, t.strides, t.kernels, None, stages))
    decoder: torch.nn.Module = Decoder(dims, t.widths, kernels=t.kernels)
    step = SubvoxelStep(t.widths[0], count_enlarged_channels(t.widths[0]), t.strides[0])
    modules = [encoder, decoder, *([step] if topology != "full" else [])]
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = [p for m in modules for p in m.parameters()]
    image = torch.randn(1, 2, *size)

    def run() -> torch.Tensor:
        out = decoder(encoder(image))[0]
        # A head keeps the maps that it reads.
        return out if topology == "full" else step(out) * torch.ones((), requires_grad=True)

    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        out = run()
    with saved_tensors_hooks(pack, lambda x: x):
        out = run()
    assert topology == "full" or out.shape[1] == t.enlarged
    counted = counter.get_total_flops()
    tolerance = 0.1 if stages == "swin" else 0.01
    flops = count_encoder_flops(t, size) + count_decoder_flops(t, size)
    assert flops == pytest.approx(counted, rel=tolerance)
    assert count_parameter_bytes(t, 1) / 20 == pytest.approx(sum(p.numel() for p in weights), rel=0.02)
    own = {p.untyped_storage().data_ptr() for p in weights}
    activations = sum(n for key, n in kept.items() if key not in own)
    assert count_kept_bytes(t, size, 1, "float32") == pytest.approx(activations, rel=0.02)
    assert out.shape[2:] == size
