"""What a network costs: multiplications, activations, parameters. The model of `polytask.model`, on paper.

Counted from the layers: a residual block is two 3³ convolutions and a shortcut, a decoder level one 3³ convolution
on the joined maps behind a 1×1 one. Activations were counted on the real modules (tensors kept for backward per map
of a stage: 4 a block and 2 more; 4 a decoder level; the halves of bf16 alike) and agree within a tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

BACKWARD = 3
"""A training step costs this many forward passes."""
KEPT_PER_BLOCK = 4
KEPT_PER_STAGE = 2
KEPT_PER_DECODER = 4
WORKING = 6
"""Maps of the finest stage that live for a moment: gradients and inputs of one layer."""
BYTES_PER_PARAMETER = 20
"""Weight, gradient, two moments of AdamW, and a copy in bf16 or for the average."""
BYTES = {"float32": 4, "bf16": 2}


@dataclass(frozen=True)
class Topology:
    """Shape of one image input's network."""

    dims: int
    planes: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    @property
    def total(self) -> tuple[int, ...]:
        """Total stride per axis: sizes must be multiples of it."""
        return tuple(prod(s[axis] for s in self.strides) for axis in range(self.dims))

    def maps(self, size: Sequence[int]) -> list[float]:
        """Positions of each stage's map for an image of this size."""
        voxels, found = float(prod(size)), []
        for stride in self.strides:
            voxels /= prod(stride)
            found.append(voxels)
        return found


def encoder_flops(t: Topology, size: Sequence[int]) -> float:
    """Forward pass of the encoder on one image."""
    inputs, total = t.planes, 0.0
    taps = 3**t.dims
    for voxels, width, blocks in zip(t.maps(size), t.widths, t.blocks, strict=True):
        first = inputs * width * (taps + 1) + width * width * taps
        total += 2 * voxels * (first + (blocks - 1) * 2 * width * width * taps)
        inputs = width
    return total


def decoder_flops(t: Topology, size: Sequence[int]) -> float:
    """Forward pass of one decoder on one image."""
    maps, taps = t.maps(size), 3**t.dims
    total = 0.0
    for level in range(len(maps) - 1):
        skip, below = t.widths[level], t.widths[level + 1]
        total += 2 * (maps[level + 1] * below * skip + maps[level] * 2 * skip * skip * taps)
    return total


def activation_bytes(t: Topology, size: Sequence[int], decoders: int, precision: str) -> float:
    """What one image keeps until backward, with so many decoders."""
    unit, maps = BYTES[precision], t.maps(size)
    kept = sum(
        v * w * (KEPT_PER_BLOCK * b + KEPT_PER_STAGE)
        for v, w, b in zip(maps, t.widths, t.blocks, strict=True)
    )
    kept += decoders * KEPT_PER_DECODER * sum(v * w for v, w in zip(maps[:-1], t.widths[:-1], strict=True))
    return unit * (kept + WORKING * maps[0] * t.widths[0])


def parameter_bytes(t: Topology, decoders: int) -> float:
    """Memory of the parameters and what the optimiser keeps of them."""
    inputs, count, taps = t.planes, 0, 3**t.dims
    for width, blocks in zip(t.widths, t.blocks, strict=True):
        count += inputs * width * (taps + 1) + width * width * taps * (2 * blocks - 1)
        inputs = width
    for skip, below in zip(t.widths[:-1], t.widths[1:], strict=True):
        count += decoders * (below * skip + 2 * skip * skip * taps)
    return BYTES_PER_PARAMETER * count
