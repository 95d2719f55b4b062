"""Strides, widths and blocks, and the sizes they need."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from polytask.plan.rules.cost import Topology

EDGE = 4
"""Positions an axis keeps at the deepest stage where the image allows; pooled heads need them."""
LEAST_EDGE = 3
"""Never below it in 3D: at 2 positions, bf16 convolutions on the CPU give wrong weight gradients."""
STAGES = {2: 7, 3: 6}
COARSE = 2.0
"""An axis this much coarser than the finest one waits until the others have caught up."""
WASTE = 1.2
"""Padding may enlarge an axis by this factor at most; else it is halved once less."""
BASE = {("cpu", 2): 32, ("cpu", 3): 16, ("gpu", 2): 32, ("gpu", 3): 32}
CAP = {("cpu", 2): 512, ("cpu", 3): 256, ("gpu", 2): 512, ("gpu", 3): 320}


def topology(
    size: Sequence[int], spacing: Sequence[float], planes: int, device: str, budget: int
) -> Topology:
    """The network for images of this size: halve what is large and fine until the edge is short.

    Args:
        size: of the smallest array the network will see, in voxels.
        spacing: its voxel edges; an axis more than twice as coarse as the finest is not halved yet.
        planes: input planes.
        device: `cpu` or a device with its own memory.
        budget: bytes for activations; a device below 8 GB starts with half the channels.
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
    """Stride with which each stage begins, the first all ones."""
    dims = len(size)
    halvings = [_halvings(n) for n in size]
    edge, done = list(spacing), [0] * dims
    steps: list[tuple[int, ...]] = [(1,) * dims]
    while len(steps) < STAGES[dims]:
        open_axes = [a for a in range(dims) if done[a] < halvings[a]]
        if not open_axes:
            break
        finest = min(edge[a] for a in open_axes)
        step = tuple(2 if a in open_axes and edge[a] < COARSE * finest else 1 for a in range(dims))
        steps.append(step)
        done = [d + (s > 1) for d, s in zip(done, step, strict=True)]
        edge = [e * s for e, s in zip(edge, step, strict=True)]
    return tuple(steps)


def _halvings(size: int) -> int:
    """How often an axis can be halved so that `EDGE` positions stay and padding wastes little."""
    count = 0
    while size / 2 ** (count + 1) >= EDGE:
        count += 1
    while count > 1 and padded_axis(size, 2**count) > WASTE * size:
        count -= 1
    return count


def padded_axis(size: float, total: int) -> int:
    """The next multiple of the total stride with at least `EDGE` positions at the deepest stage."""
    return max(ceil(size / total), EDGE if total > 1 else 1) * total


def padded(size: Sequence[float], total: Sequence[int]) -> tuple[int, ...]:
    """Each axis enlarged to what the topology needs; an axis that is never halved keeps at least `EDGE` voxels."""
    return tuple(max(padded_axis(n, t), EDGE) for n, t in zip(size, total, strict=True))
