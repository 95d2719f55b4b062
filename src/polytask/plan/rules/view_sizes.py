"""Finds the largest view and the largest patch that a budget allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

from polytask.kinds.plan_reasons import PlanReasons, round_number
from polytask.plan.rules.network_cost import (
    BYTES_PER_PARAMETER,
    Topology,
    add_temporary_bytes,
    count_decoder_flops,
    count_encoder_flops,
)
from polytask.plan.rules.sharing_cost import count_view_bytes
from polytask.plan.rules.sharing_parameters import count_reader_parameters
from polytask.plan.rules.topology import NetworkTopology, pad_to_strides, plan_topology
from polytask.plan.rules.view_readers import ViewReaders

SMALLEST_VIEW_EDGE = {2: 256, 3: 64}
"""Dimensions → edge of the smallest view that is worth having, in voxels."""
SMALLEST_PATCH_EDGE = {2: 64, 3: 32}
"""Dimensions → edge at which a patch is not made smaller any more, in voxels of the finest axis."""
SIZE_STEP_FACTOR = 1.04
"""Factor between one size that is tried and the next."""
TopologyChooser = Callable[[Sequence[int], Sequence[float]], Topology]
"""A function: size and spacing of an image → the topology of the network for it."""


@dataclass(frozen=True)
class ViewBudget:
    """What one view of one visit of one subject may cost: bytes of memory first, FLOP of the forward pass second.

    Args:
        flops: limit of the forward pass.
        memory: limit of the activations, and of this view's part of the model.
        device, precision: where and how the network runs.
        scale: the network's scale, a name in `NETWORK_SCALES`.
        views: number of views that share a step, and so the model.
        readers: the tasks that read the image, and their architecture.
        words: the budget in words, for the reasons of a plan.
        topology: how the network begins, a name in `FIRST_STAGES`.
    """

    flops: float
    memory: float
    device: str
    precision: str
    scale: str
    views: int
    readers: ViewReaders
    words: str
    topology: NetworkTopology = "full"

    def plan_network(
        self, size: Sequence[int], spacing: Sequence[float], planes: int, why: PlanReasons
    ) -> Topology:
        """Plan the network for images of this size, at the scale and with the encoder of this budget."""
        planned = plan_topology(size, spacing, planes, self.scale, why, self.topology)
        return replace(planned, encoder=self.readers.encoder)

    def share(self, part: float) -> ViewBudget:
        """Return the given share of this budget."""
        return replace(self, flops=self.flops * part, memory=self.memory * part)

    def allow_time(self, factor: float) -> ViewBudget:
        """Return this budget with a multiple of its time and the same memory, which no step can exceed."""
        return replace(self, flops=self.flops * factor)

    def has_memory_for(self, t: Topology, size: Sequence[int], decoders: int) -> bool:
        """Whether the memory is enough for one image of this size with this number of decoders."""
        return self.count_memory(t, size, decoders) <= self.memory

    def count_memory(self, t: Topology, size: Sequence[int], decoders: int) -> float:
        """Count the bytes that one image of this size needs, with its part of the model."""
        readers = self.readers.drop_decoders(decoders)
        kept = count_view_bytes(t, size, readers, self.precision)
        weights = BYTES_PER_PARAMETER * count_reader_parameters(t, readers)
        return add_temporary_bytes(kept, t, size, self.precision, self.device) + weights / self.views

    def fits(self, t: Topology, size: Sequence[int], decoders: int) -> bool:
        """Whether both memory and time are enough for one image of this size."""
        return count_view_flops(t, size, decoders) <= self.flops and self.has_memory_for(t, size, decoders)


def count_view_flops(topology: Topology, size: Sequence[int], decoders: int) -> float:
    """Count the FLOP of a forward pass of the encoder and this number of decoders on one image."""
    return count_encoder_flops(topology, size) + decoders * count_decoder_flops(topology, size)


def is_within_smallest_view(size: Sequence[int]) -> bool:
    """Whether an image has no more voxels than the smallest view that is worth having."""
    return bool(prod(size) <= SMALLEST_VIEW_EDGE[len(size)] ** len(size))


def find_largest_patch(
    typical: Sequence[int], spacing: Sequence[float], budget: ViewBudget, decoders: int, net: TopologyChooser
) -> tuple[tuple[int, ...], Topology]:
    """Find the largest patch that fits the budget, with about equal edges in mm and no larger than the typical case."""
    tried = list(_list_patch_candidates(typical, spacing, net))
    fitting = [(size, t) for size, t in tried if budget.fits(t, size, decoders)]
    # The largest of all that fit, not the first: sizes are rounded to strides, so that a longer edge can give fewer
    # voxels. What fits one budget also fits a larger one, so that a larger device never gets a smaller patch.
    return max(fitting, key=lambda each: prod(each[0]), default=tried[-1])


def explain_patch_limit(
    patch: Sequence[int],
    typical: Sequence[int],
    spacing: Sequence[float],
    budget: ViewBudget,
    decoders: int,
    net: TopologyChooser,
) -> str:
    """Say in words what keeps a patch from being larger: the case, the memory or the time."""
    larger = [
        (size, t)
        for size, t in _list_patch_candidates(typical, spacing, net)
        if prod(size) > prod(patch) and not budget.fits(t, size, decoders)
    ]
    if not larger:
        return "it holds the whole median case"
    size, t = larger[-1]
    return (
        f"the next larger one exceeds the {'time' if budget.has_memory_for(t, size, decoders) else 'memory'}"
    )


def _list_patch_candidates(
    typical: Sequence[int], spacing: Sequence[float], net: TopologyChooser
) -> Iterator[tuple[tuple[int, ...], Topology]]:
    """List the patches that are tried, from the whole typical case down, with their networks."""
    edge = max(n * s for n, s in zip(typical, spacing, strict=True))
    least = SMALLEST_PATCH_EDGE[len(typical)] * min(spacing)
    while True:
        raw = [max(1, min(n, round(edge / s))) for n, s in zip(typical, spacing, strict=True)]
        t = net(raw, spacing)
        # An axis as long as the case is padded, so that the patch holds all of it; any other axis is rounded down,
        # because rounding up could exceed the budget.
        yield (
            tuple(
                pad_to_strides((n,), (s,))[0] if n >= whole else max(4 * s, n // s * s)
                for n, whole, s in zip(raw, typical, t.total, strict=True)
            ),
            t,
        )
        if edge <= least:
            return
        edge /= SIZE_STEP_FACTOR


def find_finest_view(
    full: Sequence[int],
    spacing: Sequence[float],
    budget: ViewBudget,
    net: TopologyChooser,
    decoders: int = 0,
) -> tuple[tuple[float, ...], tuple[int, ...], Topology]:
    """Find the finest spacing at which the budget lets the network see `full` voxels; return (spacing, size, net).

    The finest axes are made coarser first. The search stops at half the voxels of the smallest view that is worth
    having, even if that exceeds the budget.
    """
    edge = min(spacing)
    while True:
        coarse = tuple(round_number(max(s, edge), 4) for s in spacing)
        raw = compute_covering_size(full, spacing, coarse)
        t = net(raw, coarse)
        size = pad_to_strides(raw, t.total)
        # With many stages set by hand no view may be that small: then the smallest that the strides allow is taken.
        least = pad_to_strides([1] * len(size), t.total)
        small = 2 * prod(size) <= SMALLEST_VIEW_EDGE[len(size)] ** len(size) or size == least
        if budget.fits(t, size, decoders) or small:
            return coarse, size, t
        edge *= SIZE_STEP_FACTOR


def compute_covering_size(
    full: Sequence[int], spacing: Sequence[float], coarse: Sequence[float]
) -> tuple[int, ...]:
    """Compute how many voxels of the spacing `coarse` cover `full` voxels of the spacing `spacing`, axis by axis."""
    # 0.01 voxel of tolerance, so that rounding of the spacings does not add a voxel.
    return tuple(max(1, ceil(n * s / c - 0.01)) for n, s, c in zip(full, spacing, coarse, strict=True))
