"""Decides strides, widths and blocks of a network, and the sizes of arrays that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from polytask.plan.rules.cost import Topology

EDGE = 4
"""Number of positions that an axis keeps at the deepest stage if the image is large enough; pooled heads need them."""
LEAST_EDGE = 3
"""Smallest number of positions in 3D: with 2, bf16 convolutions on the CPU give wrong weight gradients."""
STAGES = {2: 7, 3: 6}
"""Dimensions → largest number of stages."""
COARSE = 2.0
"""An axis that is coarser than the finest one by this factor is not halved until the others have become as coarse."""
WASTE = 1.2
"""Padding may enlarge an axis by at most this factor; otherwise the axis is halved once less."""
BASE = {("cpu", 2): 32, ("cpu", 3): 16, ("gpu", 2): 32, ("gpu", 3): 32}
"""(device, dimensions) → channels of the first stage."""
CAP = {("cpu", 2): 512, ("cpu", 3): 256, ("gpu", 2): 512, ("gpu", 3): 320}
"""(device, dimensions) → largest number of channels of a stage."""


def topology(
    size: Sequence[int], spacing: Sequence[float], planes: int, device: str, budget: int
) -> Topology:
    """Plan the network for images of this size: large and fine axes are halved until they are short.

    Args:
        size: size of the smallest array that the network will see, in voxels.
        spacing: edges of a voxel; an axis at least twice as coarse as the finest one is halved later.
        planes: number of input planes.
        device: `cpu`, or another device for training.
        budget: bytes for activations; a device with little memory starts with half the channels.
    """
    dims, kind = len(size), "cpu" if device == "cpu" else "gpu"
    steps = strides(size, spacing)
    base = BASE[kind, dims]
    if kind == "gpu" and budget < 6e9:
        base //= 2
    widths = tuple(min(base * 2**stage, CAP[kind, dims]) for stage in range(len(steps)))
    blocks = tuple(1 if kind == "cpu" or stage == 0 else 2 for stage in range(len(steps)))
    return Topology(dims, planes, widths, blocks, steps)


def strides(size: Sequence[int], spacing: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Plan the stride with which each stage begins; the first stage has strides of 1."""
    dims = len(size)
    halvings = [_halvings(n) for n in size]
    edge, done = list(spacing), [0] * dims
    steps: list[tuple[int, ...]] = [(1,) * dims]
    while len(steps) < STAGES[dims]:
        open_axes = [a for a in range(dims) if done[a] < halvings[a]]
        if not open_axes:
            break
        # Only axes that can still be halved count: a short fine axis must not hold the others back for ever.
        finest = min(edge[a] for a in open_axes)
        step = tuple(2 if a in open_axes and edge[a] < COARSE * finest else 1 for a in range(dims))
        steps.append(step)
        done = [d + (s > 1) for d, s in zip(done, step, strict=True)]
        edge = [e * s for e, s in zip(edge, step, strict=True)]
    return tuple(steps)


def _halvings(size: int) -> int:
    """Count how often an axis can be halved so that enough positions stay and padding wastes little."""
    count = 0
    while size / 2 ** (count + 1) >= EDGE:
        count += 1
    while count > 1 and padded_axis(size, 2**count) > WASTE * size:
        count -= 1
    return count


def padded_axis(size: float, total: int) -> int:
    """Round a size up to a multiple of the total stride that leaves enough positions at the deepest stage."""
    return max(ceil(size / total), EDGE if total > 1 else 1) * total


def padded(size: Sequence[float], total: Sequence[int]) -> tuple[int, ...]:
    """Enlarge each axis to what the topology needs; an axis that is never halved gets at least 4 voxels."""
    return tuple(max(padded_axis(n, t), EDGE) for n, t in zip(size, total, strict=True))
