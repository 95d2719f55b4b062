"""Counts the parameters of every sharing block: what comes on top of one shared encoder and the decoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from polytask.plan.rules.network_cost import Topology, count_parameters
from polytask.plan.rules.view_readers import ViewReaders

EXPERTS, CODE_NUMBERS = 3, 32
"""Encoders of `mmoe`, and the length of a task's code of `task_film`, as in `polytask.model.sharing`."""
TRANSFORMER_BLOCKS = 4
"""Blocks of `task_tokens`, as there."""
STEM_PLANES = 8
"""Planes that a shared encoder reads, as in `polytask.model.shared_trunk`."""
ENCODERS_PER_TASK = ("single", "cross_stitch", "nddr", "ple")
"""Sharing blocks in which every task has an encoder of its own."""


def count_reader_parameters(topology: Topology, readers: ViewReaders) -> int:
    """Count the parameters of encoders, sharing block and decoders, without heads and fusions."""
    return count_trunk_parameters(topology, readers) + count_decoding_parameters(topology, readers)


def count_trunk_parameters(topology: Topology, readers: ViewReaders) -> int:
    """Count the parameters of encoders and sharing block."""
    encoder = count_parameters(find_encoder_topology(topology, readers), 0)
    block = SHARING_PARAMETERS.get(readers.sharing, _count_no_parameters)(topology, readers)
    return count_encoders(readers) * encoder + block


def count_decoding_parameters(topology: Topology, readers: ViewReaders) -> int:
    """Count the parameters of decoders and second networks, and of the layer before a shared encoder."""
    encoder = count_parameters(topology, 0)
    count = count_parameters(topology, readers.decoders) - encoder
    count += STEM_PLANES * (topology.planes + 2) if readers.shared else 0
    first = topology.widths[0] * (topology.taps[0] + 1)
    count += sum(encoder + planes * first for planes in readers.seconds)
    if readers.decoder == "mtan" and readers.attending:
        for level, width in enumerate(topology.widths[:-1]):
            count += topology.taps[level] * width * topology.widths[level + 1]
            count += 3 * readers.attending * width**2
    if readers.decoder == "padnet":
        level, pairs = find_meeting_level(topology), readers.attending * (readers.attending - 1)
        count += 2 * pairs * topology.taps[level] * topology.widths[level] ** 2
    return count


def find_encoder_topology(topology: Topology, readers: ViewReaders) -> Topology:
    """Return the topology of the encoder that reads an image; a shared one reads as many planes of every image."""
    return replace(topology, planes=STEM_PLANES) if readers.shared else topology


def count_encoders(readers: ViewReaders) -> int:
    """Count the encoders that a sharing block runs; none where all tasks read second networks."""
    if not readers.branches:
        return 0
    if readers.sharing == "mmoe":
        return EXPERTS
    if readers.sharing in ENCODERS_PER_TASK:
        return readers.branches + (readers.sharing == "ple")
    return 1


def find_meeting_level(topology: Topology) -> int:
    """Find the level at which the tasks of a `padnet` decoder exchange messages: that below the finest decoded one."""
    return max(0, min(1, len(topology.widths) - 2))


def squeeze_channels(width: int) -> int:
    """Return the channels of a squeezed map, as `polytask.model.sharing.task_attention` does."""
    return max(4, width // 4)


def _count_no_parameters(topology: Topology, readers: ViewReaders) -> int:
    return 0


def _count_mask_parameters(topology: Topology, readers: ViewReaders) -> int:
    widths, taps, total = topology.widths, topology.taps, 0
    for level, width in enumerate(widths):
        light = readers.form == "light"
        hidden = squeeze_channels(width) if light else width
        brought = 0 if level == 0 else widths[level - 1] if light else width
        total += hidden * (2 * width + brought)
        if not light and level + 1 < len(widths):
            total += taps[level] * width * widths[level + 1]
    return readers.branches * total


def _count_exchange_parameters(topology: Topology, readers: ViewReaders) -> int:
    tasks, deepest, light = readers.branches, topology.widths[-1], readers.form == "light"
    total = _count_mask_parameters(topology, readers)
    for width, taps in zip(topology.widths, topology.taps, strict=True):
        if tasks > 1:
            total += tasks * (2 * width * squeeze_channels(width) if light else taps * (tasks - 1) * width**2)
    inner, hidden = (deepest // 2, deepest) if light else (deepest, 4 * deepest)
    return total + tasks * deepest * (4 * inner * min(tasks, 2) + 2 * hidden)


def _count_token_parameters(topology: Topology, readers: ViewReaders) -> int:
    width = topology.widths[-1]
    return (12 * TRANSFORMER_BLOCKS + 2 * readers.branches) * width**2


def _count_reduction_parameters(topology: Topology, readers: ViewReaders) -> int:
    if readers.branches < 2:
        return 0
    squares = [width**2 for width in topology.widths]
    heads = readers.voxel * sum(squares) + readers.pooled * squares[-1]
    return readers.branches * (readers.branches * sum(squares[:-1]) + heads)


def _count_controller_parameters(topology: Topology, readers: ViewReaders) -> int:
    deepest = topology.widths[-1]
    return CODE_NUMBERS * (readers.branches + deepest) + deepest * (deepest + 2 * sum(topology.widths))


SHARING_PARAMETERS: dict[str, Callable[[Topology, ViewReaders], int]] = {
    "mtan": _count_mask_parameters,
    "ctan": _count_exchange_parameters,
    "task_tokens": _count_token_parameters,
    "nddr": _count_reduction_parameters,
    "task_film": _count_controller_parameters,
}
"""Sharing block → its parameters beside encoders and decoders."""
