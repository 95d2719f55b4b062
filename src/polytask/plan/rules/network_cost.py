"""Counts what a network costs before it is built: multiplications, activations, parameters of `polytask.model`.

Counted from the layers: a residual block has two convolutions and a shortcut, a decoder level has a 1×1 convolution and
then one convolution on the joined maps; a kernel is 3³, or 1×3×3 in stages where one axis is much coarser. Activations
were compared with those of the real modules and agree within a tenth. The modules keep for the backward pass: 4 maps
per block and 2 more per stage, and 4 per decoder level, with bf16 as with float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

PASSES_PER_STEP = 3
"""A training step costs this many forward passes: one forward, and about two for the backward pass."""
MAPS_PER_BLOCK = 4
MAPS_PER_STAGE = 2
MAPS_PER_DECODER = 4
TEMPORARY_MAPS = 6
"""Maps of the finest stage that exist only for a moment: gradients and inputs of one layer."""
BYTES_PER_PARAMETER = 20
"""Bytes for the weight, its gradient, two moments of AdamW, and a copy in bf16 or for the moving average."""
BYTES_PER_NUMBER = {"float32": 4, "bf16": 2}


@dataclass(frozen=True)
class Topology:
    """Shape of the network of one image input: input planes, and per stage its width, blocks and stride."""

    dims: int
    planes: int
    widths: tuple[int, ...]
    blocks: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...] = ()
    """Kernel of each stage; () = 3 along every axis of every stage."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Number of weights of the kernel of each stage: 27, or 9 for 1×3×3."""
        return tuple(prod(k) for k in self.kernels) or (3**self.dims,) * len(self.widths)

    @property
    def total(self) -> tuple[int, ...]:
        """Total stride of each axis; sizes of views and patches must be multiples of it."""
        return tuple(prod(s[axis] for s in self.strides) for axis in range(self.dims))

    def maps(self, size: Sequence[int]) -> list[float]:
        """Count the positions of the map of each stage for an image of this size."""
        voxels, positions = float(prod(size)), []
        for stride in self.strides:
            voxels /= prod(stride)
            positions.append(voxels)
        return positions


def count_encoder_flops(topology: Topology, size: Sequence[int]) -> float:
    """Count the FLOP of a forward pass of the encoder on one image of this size."""
    inputs, total = topology.planes, 0.0
    stages = zip(topology.maps(size), topology.widths, topology.blocks, topology.taps, strict=True)
    for voxels, width, blocks, taps in stages:
        # The first block changes the number of channels, so that its shortcut is a 1×1 convolution (the + 1).
        first = inputs * width * (taps + 1) + width * width * taps
        total += 2 * voxels * (first + (blocks - 1) * 2 * width * width * taps)
        inputs = width
    return total


def count_decoder_flops(topology: Topology, size: Sequence[int]) -> float:
    """Count the FLOP of a forward pass of one decoder on one image of this size."""
    maps, total = topology.maps(size), 0.0
    for level in range(len(maps) - 1):
        skip, below, taps = topology.widths[level], topology.widths[level + 1], topology.taps[level]
        total += 2 * (maps[level + 1] * below * skip + maps[level] * 2 * skip * skip * taps)
    return total


def count_activation_bytes(topology: Topology, size: Sequence[int], decoders: int, precision: str) -> float:
    """Count the bytes of activations that one image keeps until the backward pass, with this number of decoders."""
    unit, maps = BYTES_PER_NUMBER[precision], topology.maps(size)
    kept = sum(
        v * w * (MAPS_PER_BLOCK * b + MAPS_PER_STAGE)
        for v, w, b in zip(maps, topology.widths, topology.blocks, strict=True)
    )
    kept += (
        decoders * MAPS_PER_DECODER * sum(v * w for v, w in zip(maps[:-1], topology.widths[:-1], strict=True))
    )
    return unit * (kept + TEMPORARY_MAPS * maps[0] * topology.widths[0])


def count_parameter_bytes(topology: Topology, decoders: int) -> float:
    """Count the bytes of the parameters, including gradients and what the optimizer stores for them."""
    inputs, count = topology.planes, 0
    for width, blocks, taps in zip(topology.widths, topology.blocks, topology.taps, strict=True):
        count += inputs * width * (taps + 1) + width * width * taps * (2 * blocks - 1)
        inputs = width
    for skip, below, taps in zip(topology.widths[:-1], topology.widths[1:], topology.taps[:-1], strict=True):
        count += decoders * (below * skip + 2 * skip * skip * taps)
    return BYTES_PER_PARAMETER * count
