"""Decides how wide and deep the networks are: by the device, and on a GPU by the memory that nothing else needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.rules.field_of_view import FieldChoice
from polytask.plan.rules.fixed_stages import fix_stages
from polytask.plan.rules.image_geometry import ImageGeometry
from polytask.plan.rules.network_cost import Topology
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.step_cost import StepCost, count_step_cost, find_largest_batch
from polytask.plan.rules.topology import (
    LARGER_SCALES,
    MIN_STRIDED_STAGES,
    NetworkTopology,
    begins_as_planned,
    pad_to_strides,
    plan_topology,
    scale_topology,
)
from polytask.plan.rules.view_sizes import SMALLEST_PATCH_EDGE, ViewBudget, count_view_flops


def choose_scale(budget: ViewBudget, geometry: ImageGeometry, planes: int, decoders: int) -> ViewBudget:
    """Halve the channels on a GPU that cannot hold the smallest patch and batch with all of them."""
    typical = geometry.find_median_size()
    raw = [min(n, SMALLEST_PATCH_EDGE[len(typical)]) for n in typical]
    t = plan_topology(raw, geometry.spacing, planes, budget.scale)
    size = pad_to_strides(raw, t.total)
    if budget.device == "cpu" or budget.has_memory_for(t, size, decoders):
        return budget
    return replace(budget, scale="gpu-half")


def choose_topology(budget: ViewBudget, why: PlanReasons) -> ViewBudget:
    """Choose how the network begins."""
    planned: NetworkTopology = "full"
    return replace(budget, topology=why.choose_value("topology", planned) or planned)


def explain_topology(t: Topology, size: Sequence[int], decoders: int, device: str) -> str:
    """Explain a network that begins at full resolution; on a CPU with what a strided one would compute instead."""
    words = "full: the first stage is at full resolution and has half the channels of the second"
    if device != "cpu" or not decoders or t.enlarged or len(t.widths) <= MIN_STRIDED_STAGES:
        return words
    strided = replace(
        t, widths=t.widths[1:], blocks=t.blocks[1:], strides=t.strides[1:], kernels=t.kernels[1:]
    )
    share = count_view_flops(strided, size, decoders) / count_view_flops(t, size, decoders)
    return f"{words}; `strided`, which is set by hand, computes {format_share_percent(share)} of it"


def name_topology(t: Topology, topology: NetworkTopology, why: PlanReasons) -> NetworkTopology | None:
    """Name the topology of a planned network; None where widths or strides set by hand decide it.

    Raises:
        PolytaskError: the topology was set by hand, and the network does not begin like that.
    """
    by_hand = [key for key in ("strides", "widths") if why.is_fixed(key)]
    if why.is_fixed("topology"):
        if why.choose_value("topology", topology) is None:
            return None
        if not begins_as_planned(t.widths, t.strides, topology):
            raise PolytaskError(
                f"--set {why.quote_settings('topology', *by_hand)}: "
                + (
                    f"{' and '.join(by_hand)} of another topology; leave one of them out"
                    if by_hand
                    else "the image is too small for a network that begins with a stride; choose full or narrow"
                )
            )
        return topology
    if by_hand:
        why.lock_reason("topology", f"follows {' and '.join(by_hand)}, set by hand")
        return None
    return topology


def explain_first_stage(t: Topology) -> str:
    """Say in the reason of the widths how wide the second stage is, where it has more than twice the channels."""
    return f"{t.widths[1]} in the second, " if len(t.widths) > 1 and t.widths[1] > 2 * t.widths[0] else ""


def explain_first_stride(t: Topology) -> str:
    """Say in the reason of the strides that a network has no stage at full resolution."""
    return "the first stage is strided (see `topology`); " if t.enlarged else ""


def explain_scale(scale: str) -> str:
    """Explain the first scale of a network."""
    return {
        "cpu": "what a CPU computes in the time of a step",
        "gpu": "the usual width on a GPU",
        "gpu-half": "half the usual ones, because not even the smallest patch and batch fit the GPU with all of them",
    }[scale]


def grow_networks(
    basis: SharedFacts, fields: Mapping[str, FieldChoice], decoders: Mapping[str, int], why: PlanReasons
) -> Mapping[str, FieldChoice]:
    """Choose deeper, then wider networks while a GPU has memory and time left and nothing else can grow."""
    for scale in LARGER_SCALES:
        larger = {
            n: replace(field, topology=_scale_planned_topology(field.topology, scale, why.at(f"images.{n}")))
            for n, field in fields.items()
        }
        if not _allows_networks(basis, fields, count_step_cost(basis, larger, decoders)):
            break
        fields = larger
    return fields


def _scale_planned_topology(t: Topology, scale: str, why: PlanReasons) -> Topology:
    """Give a planned network the widths and blocks of a larger scale, except those that were set by hand."""
    planned: NetworkTopology = "full"
    return fix_stages(scale_topology(t, scale, why.choose_value("topology", planned) or planned), why)


def _allows_networks(basis: SharedFacts, fields: Mapping[str, FieldChoice], cost: StepCost) -> bool:
    """Whether larger networks that cost so much may be used."""
    # The order is that of nnU-Net's residual presets: first what is seen, then the batch, then the network. Fewer
    # samples than four of the largest batches are too few for a larger network.
    machine, limit = basis.machine, find_largest_batch(basis)
    return (
        machine.device != "cpu"
        and not basis.cohort.header.slides
        and all(map(sees_everything, fields.values()))
        and basis.train // 4 >= limit
        and cost.fits(limit, machine)
        and cost.is_quick(limit, machine)
    )


def sees_everything(field: FieldChoice | ImagePlan) -> bool:
    """Whether no larger device would see more: the whole image at full resolution."""
    return field.patch is None and field.view_spacing == field.spacing


def explain_larger_network(basis: SharedFacts, t: Topology, why: PlanReasons) -> None:
    """Explain a wider or deeper network that fills a GPU's memory."""
    reason = (
        f"the whole image is seen and the batch is the largest, {find_largest_batch(basis)} samples; on "
        f"{basis.machine} memory and time are left for a larger network"
    )
    why["widths"] = (
        f"{t.widths[0]} channels in the first stage, doubled in each further one up to {max(t.widths)}: {reason}"
    )
    why["blocks"] = f"{', '.join(map(str, t.blocks))} residual blocks in the stages: {reason}"
