"""Decides strides, kernels, widths and blocks of a network, and the sizes of arrays that it needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.rules.fixed_stages import fix_stages
from polytask.plan.rules.network_cost import Topology

TARGET_BOTTLENECK_EDGE = 4
"""Number of positions that an axis keeps at the deepest stage if the image is large enough; pooled heads need them."""
MIN_BOTTLENECK_EDGE = 3
"""Smallest number of positions in 3D: with 2, bf16 convolutions on the CPU give wrong weight gradients."""
MAX_ENCODER_STAGES = {2: 7, 3: 6}
"""Dimensions → largest number of stages."""
COARSE_AXIS_RATIO = 2.0
"""An axis that is coarser than the finest one by this factor is not halved until the others have become as coarse, and
convolutions do not reach along it until then."""
MAX_PADDING_FACTOR = 1.2
"""Padding may enlarge an axis by at most this factor; otherwise the axis is halved once less."""


@dataclass(frozen=True)
class NetworkScale:
    """How wide and deep a network is, whatever the image.

    Args:
        first: dimensions → channels of the first stage; each further stage has twice as many.
        largest: dimensions → largest number of channels of a stage.
        blocks: residual blocks of each stage; the last number holds for all further ones.
    """

    first: Mapping[int, int]
    largest: Mapping[int, int]
    blocks: tuple[int, ...]


NETWORK_SCALES = {
    "cpu": NetworkScale({2: 32, 3: 16}, {2: 512, 3: 256}, (1,)),
    "gpu-half": NetworkScale({2: 16, 3: 16}, {2: 512, 3: 320}, (1, 2)),
    "gpu": NetworkScale({2: 32, 3: 32}, {2: 512, 3: 320}, (1, 2)),
    "gpu-deep": NetworkScale({2: 32, 3: 32}, {2: 512, 3: 320}, (1, 3, 4, 6)),
    "gpu-wide": NetworkScale({2: 64, 3: 64}, {2: 1024, 3: 640}, (1, 3, 4, 6)),
}
"""Name of a scale → the scale, from small to large on a GPU. The depth of `gpu-deep` is that of nnU-Net's residual
encoders."""


@dataclass(frozen=True)
class FirstStage:
    """How a network begins: the width of its first stage, and whether that is strided.

    Args:
        divisor: the channels of the first stage are divided by it; those of the others stay.
        is_strided: whether the stage at full resolution is left out, so that the network begins with the stride of the
            second one. A decoder then comes back to single voxels in one step (`model/subvoxel_step.py`).
    """

    divisor: int = 1
    is_strided: bool = False


NetworkTopology = Literal["full", "narrow", "strided", "light"]
FIRST_STAGES: dict[NetworkTopology, FirstStage] = {
    "full": FirstStage(),
    "narrow": FirstStage(divisor=2),
    "strided": FirstStage(is_strided=True),
    "light": FirstStage(divisor=2, is_strided=True),
}
"""Topology of an image (`images.*.topology`) → its first stage."""
MIN_STRIDED_STAGES = 2
"""Fewest stages of a network that begins with a stride: a decoder needs two."""
LARGER_SCALES = ("gpu-deep", "gpu-wide")
"""The scales that a GPU with memory left may get, in this order."""


def plan_topology(
    size: Sequence[int],
    spacing: Sequence[float],
    planes: int,
    scale: str,
    why: PlanReasons | None = None,
    topology: NetworkTopology = "full",
) -> Topology:
    """Plan the network for images of this size: large and fine axes are halved until they are short.

    Args:
        size: size of the smallest array that the network will see, in voxels.
        spacing: edges of a voxel; an axis at least twice as coarse as the finest one is halved later.
        planes: number of input planes.
        scale: how wide and deep the network is, a name in `NETWORK_SCALES`.
        why: knows the strides, widths, blocks and kernels that were set by hand.
        topology: how the network begins, a name in `FIRST_STAGES`.
    """
    why, planned = why or PlanReasons(), plan_strides(size, spacing)
    if FIRST_STAGES[topology].is_strided and len(planned) > MIN_STRIDED_STAGES:
        planned = planned[1:]
    strides = why.choose_value("strides", planned)
    shape = Topology(len(size), planes, (), (), strides, plan_kernels(size, spacing, strides))
    return fix_stages(scale_topology(shape, scale, topology), why)


def scale_topology(shape: Topology, scale: str, topology: NetworkTopology = "full") -> Topology:
    """Give a network the widths and blocks of a scale and of a first stage; its strides and kernels stay."""
    chosen, dims, blocks = NETWORK_SCALES[scale], shape.dims, NETWORK_SCALES[scale].blocks
    stages = range(len(shape.strides))
    # A network that begins with a stride has no stage at full resolution, and the widths of the others.
    left_out = int(max(shape.strides[0]) > 1)
    widths = [min(chosen.first[dims] * 2 ** (stage + left_out), chosen.largest[dims]) for stage in stages]
    widths[0] //= FIRST_STAGES[topology].divisor
    return replace(
        shape,
        widths=tuple(widths),
        blocks=tuple(blocks[min(stage, len(blocks) - 1)] for stage in stages),
    )


def begins_as_planned(
    widths: Sequence[int], strides: Sequence[Sequence[int]], topology: NetworkTopology
) -> bool:
    """Whether a network begins as its topology says: at the right resolution, with as few channels."""
    first = FIRST_STAGES[topology]
    is_narrow = len(widths) == 1 or 2 * first.divisor * widths[0] <= widths[1]
    return first.is_strided == (max(strides[0]) > 1) and (first.divisor == 1 or is_narrow)


def plan_strides(size: Sequence[int], spacing: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Plan the stride with which each stage begins, from a first stage at full resolution on."""
    dims = len(size)
    halvings = [_count_halvings(n) for n in size]
    edge, done = list(spacing), [0] * dims
    steps: list[tuple[int, ...]] = [(1,) * dims]
    while len(steps) < MAX_ENCODER_STAGES[dims]:
        open_axes = [a for a in range(dims) if done[a] < halvings[a]]
        if not open_axes:
            break
        # Only axes that can still be halved count: a short fine axis must not hold the others back for ever.
        finest = min(edge[a] for a in open_axes)
        step = tuple(2 if a in open_axes and edge[a] < COARSE_AXIS_RATIO * finest else 1 for a in range(dims))
        steps.append(step)
        done = [d + (s > 1) for d, s in zip(done, step, strict=True)]
        edge = [e * s for e, s in zip(edge, step, strict=True)]
    return tuple(steps)


def plan_kernels(
    size: Sequence[int], spacing: Sequence[float], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], ...]:
    """Plan the kernel of each stage of a 3D network: 1 along an axis that is still much coarser than the finest one.

    Neighbors along such an axis show other tissue, and weights for them are two thirds of a 3³ kernel. Once an axis has
    a kernel of 3, it keeps it. The result is () where every kernel is 3 along every axis.
    """
    dims, edge = len(size), list(spacing)
    left = [_count_halvings(n) for n in size]
    reach = [1] * dims
    kernels = []
    for step in strides:
        edge = [e * s for e, s in zip(edge, step, strict=True)]
        left = [n - (s > 1) for n, s in zip(left, step, strict=True)]
        # As for strides, a short fine axis does not count. A kernel of 1 would skip voxels of an axis that is halved.
        finest = min((e for e, n in zip(edge, left, strict=True) if n > 0), default=min(edge))
        reach = [
            3 if r == 3 or s > 1 or e < COARSE_AXIS_RATIO * finest else 1
            for r, s, e in zip(reach, step, edge, strict=True)
        ]
        kernels.append(tuple(reach))
    return tuple(kernels) if dims == 3 and any(1 in kernel for kernel in kernels) else ()


def _count_halvings(size: int) -> int:
    """Count how often an axis can be halved so that enough positions stay and padding wastes little."""
    count = 0
    while size / 2 ** (count + 1) >= TARGET_BOTTLENECK_EDGE:
        count += 1
    while count > 1 and pad_axis_to_stride(size, 2**count) > MAX_PADDING_FACTOR * size:
        count -= 1
    return count


def pad_axis_to_stride(size: float, total: int) -> int:
    """Round a size up to a multiple of the total stride that leaves enough positions at the deepest stage."""
    return max(ceil(size / total), TARGET_BOTTLENECK_EDGE if total > 1 else 1) * total


def pad_to_strides(size: Sequence[float], total: Sequence[int]) -> tuple[int, ...]:
    """Enlarge each axis to what the topology needs; an axis that is never halved gets at least 4 voxels."""
    return tuple(
        max(pad_axis_to_stride(n, t), TARGET_BOTTLENECK_EDGE) for n, t in zip(size, total, strict=True)
    )
