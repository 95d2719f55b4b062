"""Counts the memory of a view under every sharing block, decoder and chain: what comes on top of one shared encoder.

The base is `network_cost`: one encoder, decoders and losses. Here come the encoders, masks, exchanges and tokens of the
sharing blocks, the attention stages of a common decoder, second networks and gates of a chain. Every number stands for
a tensor that autograd keeps until the backward pass, counted from the modules of `polytask.model`; a test holds the sum
against the bytes that are really kept. A block from a plugin counts like `hard`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod

from polytask.cohort.header import Header
from polytask.plan.model_plan import ModelPlan
from polytask.plan.rules.network_cost import (
    BYTES_PER_NUMBER,
    Topology,
    add_temporary_bytes,
    count_kept_bytes,
)
from polytask.plan.rules.sharing_parameters import (
    TRANSFORMER_BLOCKS,
    count_decoding_parameters,
    count_encoders,
    count_trunk_parameters,
    find_encoder_topology,
    find_meeting_level,
    squeeze_channels,
)
from polytask.plan.rules.swin_cost import NUMBERS_PER_TOKEN
from polytask.plan.rules.view_readers import (
    FieldSizes,
    ViewReaders,
    find_trunk_readers,
    find_view_readers,
    list_view_parts,
)

POOLED_INDEX_BYTES = 8
"""Bytes of the position that max-pooling remembers for each value."""
FLOAT32_BYTES = 4
GATED_LEVELS = 3
"""Deepest levels whose features a gate weighs, as in `polytask.model.order.gate`."""
SUPERVISED_DECODER_LEVELS = 3
COMPARED_CHANNELS = 32
"""Channels of the convolution on a difference of visits, as in `polytask.model.visit_fusion.difference`."""


def count_view_bytes(topology: Topology, size: Sequence[int], readers: ViewReaders, precision: str) -> float:
    """Count the bytes that autograd keeps of one view until the backward pass, without parameters."""
    number = BYTES_PER_NUMBER[precision]
    encoder = find_encoder_topology(topology, readers)
    kept = count_kept_bytes(encoder, size, readers.decoders, precision, readers.masks)
    if readers.shared:
        # The image, which the layer before the encoder reads. What the encoder reads has its precision already: no
        # layer copies it.
        copied = 0 if precision == "float32" else encoder.planes
        kept += number * prod(size) * (topology.planes - copied)
    count_block = SHARING_NUMBERS.get(readers.sharing)
    if count_block is not None and readers.branches:
        kept += number * count_block(topology, size, readers, number)
    more = replace(encoder, planes=0) if readers.shared else encoder
    kept += (count_encoders(readers) - 1) * count_kept_bytes(more, size, 0, precision)
    maps, widths = topology.maps(size), topology.widths
    for planes in readers.seconds:
        kept += count_kept_bytes(replace(topology, planes=topology.planes + planes), size, 0, precision)
    kept += number * readers.averaged * sum(v * w for v, w in zip(maps, widths, strict=True))
    # Of changed maps a decoder keeps the deepest; the others it joins with its own at once.
    kept += number * readers.copied * maps[-1] * widths[-1]
    kept += FLOAT32_BYTES * prod(size) * sum(readers.handed)
    kept += (
        number * readers.gated * sum(v * w for v, w in list(zip(maps, widths, strict=True))[-GATED_LEVELS:])
    )
    kept += number * _count_compared_numbers(topology, size, readers)
    if readers.decoder == "padnet":
        return kept + number * _count_message_numbers(topology, size, readers)
    # Behind a strided stage each of these tasks has its own maps of single voxels; those of one are counted already.
    kept += number * max(0, readers.attending - 1) * prod(size) * topology.enlarged
    if readers.decoder == "mtan":
        return kept + number * readers.attending * _count_published_stages(topology, size)
    return kept + number * readers.attending * _count_attention_stages(topology, size)


@dataclass(frozen=True)
class InputMemory:
    """What one visit of an image input needs in a step, in bytes, and the parameters of its networks.

    Args:
        kept: what autograd keeps until the backward pass.
        peak: that, what exists only for a moment, and on a GPU a margin.
        parameters: number of trainable numbers.
    """

    kept: float
    peak: float
    parameters: int


def count_input_memory(
    header: Header,
    name: str,
    model: ModelPlan,
    topology: Topology,
    field: FieldSizes,
    precision: str,
    device: str,
) -> InputMemory:
    """Count what one visit of an image input needs in a step: its view, its patches, and the networks for them."""
    kept = peak = 0.0
    for size, count, part in list_view_parts(field):
        readers = find_view_readers(header, name, model, part)
        if readers.branches or readers.seconds:
            own = count_view_bytes(topology, size, readers, precision)
            kept += count * own
            peak += count * add_temporary_bytes(own, topology, size, precision, device)
    # View and patches pass one network.
    everybody = find_view_readers(header, name, model, "whole")
    trunk = find_trunk_readers(header, name, model)
    parameters = count_trunk_parameters(topology, trunk) if trunk else 0
    return InputMemory(kept, peak, parameters + count_decoding_parameters(topology, everybody))


def _count_stitched_numbers(
    topology: Topology, size: Sequence[int], readers: ViewReaders, number: int
) -> float:
    """Count the mixed maps of `cross_stitch`: what goes on to each next stage, and the deepest map of each head."""
    if readers.branches < 2:
        return 0.0
    maps = [v * w for v, w in zip(topology.maps(size), topology.widths, strict=True)]
    return readers.branches * sum(maps[:-1]) + (readers.voxel + readers.pooled) * maps[-1]


def _count_reduced_numbers(
    topology: Topology, size: Sequence[int], readers: ViewReaders, number: int
) -> float:
    """Count the reduced maps of `nddr`: the input of the norm and the activation, between stages and for each head."""
    if readers.branches < 2:
        return 0.0
    maps = [v * w for v, w in zip(topology.maps(size), topology.widths, strict=True)]
    heads = readers.voxel * sum(maps) + readers.pooled * maps[-1]
    return 2 * (readers.branches * sum(maps[:-1]) + heads)


def _count_gated_numbers(topology: Topology, size: Sequence[int], readers: ViewReaders, number: int) -> float:
    """Count the mixed maps of `mmoe` and `ple`: what goes on to each next stage, and the deepest map of each head."""
    maps = [v * w for v, w in zip(topology.maps(size), topology.widths, strict=True)]
    on = (readers.branches + 1) * sum(maps[:-1]) if readers.sharing == "ple" else 0
    return on + (readers.voxel + readers.pooled) * maps[-1]


def _count_told_numbers(topology: Topology, size: Sequence[int], readers: ViewReaders, number: int) -> float:
    """Count the deepest map of each task of `task_film`, scaled and shifted."""
    return (readers.voxel + readers.pooled) * topology.maps(size)[-1] * topology.widths[-1]


def _count_mask_numbers(topology: Topology, size: Sequence[int], readers: ViewReaders, number: int) -> float:
    """Count the masks of `mtan` and `ctan`, and what a task brings from one level to the next."""
    if readers.form == "paper":
        return _count_paper_masks(topology, size, readers, number)
    maps, widths, tasks = topology.maps(size), topology.widths, readers.branches
    demand, total = _is_on_demand(topology), 0.0
    for level, width in enumerate(widths):
        coarse = demand and level == 0
        at = maps[1] if coarse else maps[level]
        # The input of the mask's norm, its activation, and the mask.
        total += tasks * at * (2 * squeeze_channels(width) + width)
        # What the next level reads, pooled; at the deepest level the masked map itself.
        total += tasks * width * (maps[level + 1] if level + 1 < len(widths) else at)
        if coarse:
            # The pooled copies of the shared maps, and the enlarged mask of each task that decodes.
            total += at * width * (2 if topology.blocks[0] > 1 else 1) + readers.voxel * maps[0] * width
    return total


def _count_paper_masks(topology: Topology, size: Sequence[int], readers: ViewReaders, number: int) -> float:
    """Count the same for the published form, whose masks are as wide and as fine as the maps."""
    maps, widths, total = topology.maps(size), topology.widths, 0.0
    for level, width in enumerate(widths):
        # Of a mask the input of each norm, an activation and the mask; and the masked map.
        total += 5 * maps[level] * width
        if level + 1 < len(widths):
            after, below = widths[level + 1], maps[level + 1]
            if readers.sharing == "ctan":
                total += 2 * below * after
            else:
                total += 2 * maps[level] * after + below * after * (1 + POOLED_INDEX_BYTES / number)
                if number < FLOAT32_BYTES and topology.dims == 3:
                    # On a CPU max-pooling has no bf16 in 3D: its input and its result are copies in float32.
                    total += (maps[level] + below) * after * FLOAT32_BYTES / number
    return readers.branches * total


def _count_exchange_numbers(
    topology: Topology, size: Sequence[int], readers: ViewReaders, number: int
) -> float:
    """Count `ctan`: its masks, the exchange of the tasks at every level, and the attention of their tokens."""
    maps, widths, tasks = topology.maps(size), topology.widths, readers.branches
    total, light = _count_mask_numbers(topology, size, readers, number), readers.form == "light"
    for level, width in enumerate(widths):
        if tasks < 2:
            break
        at = maps[1] if light and level == 0 and _is_on_demand(topology) else maps[level]
        # Light: the map that gives, and three tensors of the squeezed width. Paper: the other maps side by side, the
        # input of the norm and the activation.
        total += tasks * at * (width + 3 * squeeze_channels(width) if light else (tasks + 1) * width)
    width, at = widths[-1], maps[-1]
    inner, hidden = (width // 2, width) if light else (width, 4 * width)
    own = 4 * width + 4 * inner
    cross = (3 * (tasks - 1) + 2) * width + 2 * tasks * inner if tasks > 1 else 0
    return total + tasks * at * (own + cross + 2 * width + 2 * hidden)


def _count_token_numbers(topology: Topology, size: Sequence[int], readers: ViewReaders, number: int) -> float:
    """Count the transformer of `task_tokens`, and the deepest map as each task reads it."""
    at, width = topology.maps(size)[-1], topology.widths[-1]
    tokens = at + readers.branches
    return width * (TRANSFORMER_BLOCKS * NUMBERS_PER_TOKEN * tokens + readers.branches * at)


def _count_attention_stages(topology: Topology, size: Sequence[int]) -> float:
    """Count the attention stages of one task on a common decoder."""
    maps, widths, total = topology.maps(size), topology.widths, 0.0
    for level in range(len(widths) - 1):
        width, below, at = widths[level], widths[level + 1], maps[level + 1]
        # The joined maps, the norm's input and output, the activation, the mask; and the enlarged mask.
        total += at * (width + below + 3 * squeeze_channels(width) + width) + maps[level] * width
        if level < SUPERVISED_DECODER_LEVELS:
            total += maps[level] * width
    return total


def _count_published_stages(topology: Topology, size: Sequence[int]) -> float:
    """Count the same of the decoder of MTAN as published, whose masks are as wide and as fine as the maps."""
    maps, widths, total = topology.maps(size), topology.widths, 0.0
    for level in range(len(widths) - 1):
        # The enlarged map; what the norm of the refinement reads and its activation; of the mask the inputs of two
        # norms, an activation and the mask; and the masked map.
        total += maps[level] * (widths[level + 1] + 7 * widths[level])
    return total


def _count_message_numbers(topology: Topology, size: Sequence[int], readers: ViewReaders) -> float:
    """Count what the messages of `padnet` keep: gate and value of each, and each task's map with what it was told."""
    tasks, level = readers.attending, find_meeting_level(topology)
    if tasks < 2:
        return 0.0
    return tasks * (2 * (tasks - 1) + 1) * topology.maps(size)[level] * topology.widths[level]


def _count_compared_numbers(topology: Topology, size: Sequence[int], readers: ViewReaders) -> float:
    """Count what a comparison of two visits by coarse logits keeps of one of them: half of the change, and of the input
    and the output of the norm behind its convolution."""
    coarse = topology.maps(size)[0 if topology.enlarged else min(1, len(topology.widths) - 1)]
    return coarse * sum((2 * logits + 2 * COMPARED_CHANNELS) / 2 for logits in readers.compared)


def _is_on_demand(topology: Topology) -> bool:
    """Whether light masks of the first level are computed at the resolution of the second."""
    return len(topology.strides) > 1 and max(topology.strides[1]) > 1


SHARING_NUMBERS: dict[str, Callable[[Topology, Sequence[int], ViewReaders, int], float]] = {
    "cross_stitch": _count_stitched_numbers,
    "nddr": _count_reduced_numbers,
    "mmoe": _count_gated_numbers,
    "ple": _count_gated_numbers,
    "mtan": _count_mask_numbers,
    "ctan": _count_exchange_numbers,
    "task_tokens": _count_token_numbers,
    "task_film": _count_told_numbers,
}
"""Sharing block → the numbers that it keeps beside encoders and decoders; the last argument is the bytes of one."""
