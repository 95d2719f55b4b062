"""Counts what a network costs before it is built: multiplications, activations, parameters of `polytask.model`.

Counted from the layers: a residual block has two convolutions and a shortcut, a decoder level has a 1×1 convolution and
then one convolution on the joined maps; a kernel is 3³, or 1×3×3 in stages where one axis is much coarser. Where the
first stage has a stride, one layer brings each decoder's maps back to single voxels. What
autograd keeps for the backward pass is counted tensor by tensor: the input of each convolution and each norm, the
output of each activation, what the losses of the masks keep. A test holds the count within a tenth of what is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from polytask.plan.rules.swin_cost import count_swin_flops, count_swin_numbers, count_swin_weights

PASSES_PER_STEP = 3
"""A training step costs this many forward passes: one forward, and about two for the backward pass."""
MAPS_PER_BLOCK = 4
MAPS_PER_DECODER = 4
TEMPORARY_MAPS = 4
"""Maps of the finest stage that exist only for a moment: the gradients of a decoder's output, of the input of its norm,
and of the joined maps, which count twice."""
BYTES_PER_PARAMETER = 20
"""Bytes for the weight, its gradient, two moments of AdamW, and a copy in bf16 or for the moving average."""
DEVICE_MARGIN = 0.1
"""Share that is added to the counted activations on a GPU: workspaces of convolutions, rounding of the allocator."""
SUPERVISED_LEVELS = 3
"""Decoder levels with a loss: the finest, and two coarser ones for deep supervision."""
LOSS_BYTES, LOSS_BYTES_PER_MASK = 21, 12
"""Bytes that Dice plus cross-entropy keep at each position, in float32 on every device: labels, regions and the
background once, the rest for each mask."""
ENLARGED_CHANNEL_DIVISOR = 2
"""Maps at the resolution of the image have this share of the finest stage's channels, if that stage has a stride."""
BYTES_PER_NUMBER = {"float32": 4, "bf16": 2}
COPY_BYTES = 2
"""Bytes of the bf16 copy of a weight that autocast makes for a step."""


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
    encoder: str = "residual"
    """What the stages are made of: `residual` or `swin`."""

    @property
    def taps(self) -> tuple[int, ...]:
        """Number of weights of the kernel of each stage: 27, or 9 for 1×3×3."""
        return tuple(prod(k) for k in self.kernels) or (3**self.dims,) * len(self.widths)

    @property
    def total(self) -> tuple[int, ...]:
        """Total stride of each axis; sizes of views and patches must be multiples of it."""
        return tuple(prod(s[axis] for s in self.strides) for axis in range(self.dims))

    @property
    def enlarged(self) -> int:
        """Number of channels of the maps that the step back to single voxels makes; 0 without a stride in front."""
        return max(1, self.widths[0] // ENLARGED_CHANNEL_DIVISOR) if max(self.strides[0]) > 1 else 0

    def has_windows(self, stage: int) -> bool:
        """Whether a stage is one of transformer blocks; a first stage at full resolution is residual."""
        return self.encoder == "swin" and (stage > 0 or max(self.strides[0]) > 1)

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
    for stage, (voxels, width, blocks, taps) in enumerate(stages):
        if topology.has_windows(stage):
            total += count_swin_flops(voxels, inputs, width, prod(topology.strides[stage]), blocks)
            inputs = width
            continue
        # The first block changes the number of channels, so that its shortcut is a 1×1 convolution (the + 1).
        first = inputs * width * (taps + 1) + width * width * taps
        total += 2 * voxels * (first + (blocks - 1) * 2 * width * width * taps)
        inputs = width
    return total


def count_decoder_flops(topology: Topology, size: Sequence[int]) -> float:
    """Count the FLOP of a forward pass of one decoder on one image of this size."""
    maps = topology.maps(size)
    total = 2.0 * prod(size) * topology.widths[0] * topology.enlarged
    for level in range(len(maps) - 1):
        skip, below, taps = topology.widths[level], topology.widths[level + 1], topology.taps[level]
        total += 2 * (maps[level + 1] * below * skip + maps[level] * 2 * skip * skip * taps)
    return total


def count_kept_bytes(
    topology: Topology, size: Sequence[int], decoders: int, precision: str, masks: int = 0
) -> float:
    """Count the bytes that autograd keeps of one image until the backward pass.

    Args:
        topology: the network.
        size: size of the image in voxels.
        decoders: number of decoders that run on it.
        precision: `float32` or `bf16`.
        masks: structures that the voxel tasks of the image predict; their losses keep maps too.
    """
    maps, widths = topology.maps(size), topology.widths
    # The image itself. In bf16 two layers of the first block read copies of it.
    numbers = float(prod(size)) * topology.planes * (1 if precision == "float32" else 2)
    inputs = topology.planes
    for stage, (voxels, width, blocks) in enumerate(zip(maps, widths, topology.blocks, strict=True)):
        if topology.has_windows(stage):
            numbers += count_swin_numbers(voxels, width, blocks)
            inputs = width
            continue
        # A block keeps the inputs of its two norms and the outputs of its two activations. What its convolutions read
        # is among them, or was kept by the block before.
        numbers += voxels * width * MAPS_PER_BLOCK * blocks
        if stage == 0 and not topology.enlarged:
            # The first block reads the image as it is.
            numbers += voxels * width
        elif inputs != width:
            # The shortcut of the first block: the input of its 1×1 convolution, pooled, and the input of its norm.
            numbers += voxels * (inputs + width)
        inputs = width
    # The joined maps, which are twice as wide, the input of the norm, and the output of the activation.
    numbers += decoders * MAPS_PER_DECODER * sum(v * w for v, w in zip(maps[:-1], widths[:-1], strict=True))
    # What the heads read at full resolution, if the encoder has no stage there.
    numbers += decoders * prod(size) * topology.enlarged
    kept = numbers * BYTES_PER_NUMBER[precision]
    if masks and decoders:
        judged = [float(prod(size)), *maps] if topology.enlarged else maps
        kept += sum(judged[:SUPERVISED_LEVELS]) * (LOSS_BYTES + LOSS_BYTES_PER_MASK * masks)
    return kept


def count_activation_bytes(
    topology: Topology,
    size: Sequence[int],
    decoders: int,
    precision: str,
    device: str = "cpu",
    masks: int = 0,
) -> float:
    """Count the bytes of memory that one image needs in a training step.

    To what autograd keeps (`count_kept_bytes`) come the maps that exist only for a moment, and on a GPU a margin.
    """
    kept = count_kept_bytes(topology, size, decoders, precision, masks)
    return add_temporary_bytes(kept, topology, size, precision, device)


def add_temporary_bytes(
    kept: float, topology: Topology, size: Sequence[int], precision: str, device: str
) -> float:
    """Add to the bytes that are kept of an image those that exist only for a moment, and on a GPU a margin."""
    finest = max(topology.maps(size)[0] * topology.widths[0], prod(size) * topology.enlarged)
    kept += TEMPORARY_MAPS * finest * BYTES_PER_NUMBER[precision]
    return kept if device == "cpu" else (1 + DEVICE_MARGIN) * kept


def count_parameters(topology: Topology, decoders: int) -> int:
    """Count the parameters of the encoder and the decoders."""
    inputs, count = topology.planes, 0
    sizes = zip(topology.widths, topology.blocks, topology.taps, strict=True)
    for stage, (width, blocks, taps) in enumerate(sizes):
        if topology.has_windows(stage):
            count += count_swin_weights(inputs, width, prod(topology.strides[stage]), blocks)
        else:
            count += inputs * width * (taps + 1) + width * width * taps * (2 * blocks - 1)
        inputs = width
    for skip, below, taps in zip(topology.widths[:-1], topology.widths[1:], topology.taps[:-1], strict=True):
        count += decoders * (below * skip + 2 * skip * skip * taps)
    return count + decoders * topology.widths[0] * topology.enlarged * prod(topology.strides[0])


def count_parameter_bytes(topology: Topology, decoders: int) -> float:
    """Count the bytes of the parameters, including gradients and what the optimizer stores for them."""
    return BYTES_PER_PARAMETER * count_parameters(topology, decoders)
