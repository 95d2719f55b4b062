"""Plans the image inputs, combining the rules of geometry, field and topology."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from polytask.cohort.header import ImageInput
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, format_sizes, join_first_names
from polytask.plan.fingerprint_records import ImageRecord
from polytask.plan.machine import (
    DEVICE_MEMORY_SHARE,
    GIB,
    SMALLEST_BATCH_SECONDS,
    Machine,
)
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.rules.common_topology import share_topology
from polytask.plan.rules.field_of_view import FieldChoice, choose_field
from polytask.plan.rules.fixed_field import fix_sizes
from polytask.plan.rules.image_geometry import plan_geometry
from polytask.plan.rules.network_cost import DEVICE_MARGIN, PASSES_PER_STEP, Topology
from polytask.plan.rules.network_scale import (
    choose_scale,
    choose_topology,
    explain_first_stage,
    explain_first_stride,
    explain_larger_network,
    explain_scale,
    explain_topology,
    grow_networks,
    name_topology,
)
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.step_cost import StepCost, count_step_cost, find_smallest_batch
from polytask.plan.rules.topology import COARSE_AXIS_RATIO, TARGET_BOTTLENECK_EDGE
from polytask.plan.rules.view_padding import find_usual_frame
from polytask.plan.rules.view_readers import find_view_readers
from polytask.plan.rules.view_sizes import ViewBudget

FOREGROUND_SHARE = 0.5
"""Share of patches that are centered on a known structure."""
CHANNEL_DROPOUT_RATE = 0.2
"""Chance with which a channel is hidden in training, where some cases lack a channel."""


def plan_images(
    basis: SharedFacts, decoders: Mapping[str, int], why: PlanReasons
) -> tuple[dict[str, ImagePlan], StepCost]:
    """Plan every image input; return the plans, and what a sample costs with this number of decoders per input."""
    plans: dict[str, ImagePlan] = {}
    fields: dict[str, FieldChoice] = {}
    for name, spec in basis.cohort.header.images.items():
        records = basis.fingerprint.images(name)
        if not records:
            raise PolytaskError(
                f"{basis.cohort.table}: input {name} has no image outside the test part; fill its columns or remove "
                "the input from cohort.yaml"
            )
        plans[name], fields[name] = _plan_image(
            basis, name, spec, records, decoders[name], why.at(f"images.{name}")
        )
    if basis.model.trunk == "shared":
        fields = share_topology(fields, why)
        for name, field in fields.items():
            t = field.topology
            stages = {
                "widths": t.widths,
                "blocks": t.blocks,
                "strides": t.strides,
                "kernels": t.kernels or None,
            }
            plans[name] = plans[name].model_copy(update=stages)
    grown = grow_networks(basis, fields, decoders, why)
    for name, field in grown.items():
        if field != fields[name]:
            t = field.topology
            plans[name] = plans[name].model_copy(update={"widths": t.widths, "blocks": t.blocks})
            explain_larger_network(basis, t, why.at(f"images.{name}"))
    return plans, count_step_cost(basis, grown, decoders)


def _compute_view_budget(basis: SharedFacts, image: str) -> ViewBudget:
    """Compute the budget of one view: samples, visits and inputs share the budget of a step with the smallest batch."""
    # Divided by the smallest batch, because view and patch are chosen first and the batch grows afterwards.
    machine, inputs, batch = basis.machine, len(basis.cohort.header.images), find_smallest_batch(basis)
    visits = len(basis.read_visits)
    views = batch * visits * inputs
    seconds = SMALLEST_BATCH_SECONDS[machine.device]
    words = (
        f"limited by the memory first: a step of {batch} samples"
        + (f" × {visits} visits" if visits > 1 else "")
        + (f" × {inputs} images" if inputs > 1 else "")
        + f" may fill {machine.budget / GIB:.3g} GiB{_describe_target(machine)}; and by the time: it may take "
        f"{seconds:g} s (1/{PASSES_PER_STEP} of it for forward passes) at about {machine.rounded_speed / 1e9:.3g} "
        f"GFLOP/s on {machine} in {machine.precision}"
    )
    flops = seconds * machine.rounded_speed / PASSES_PER_STEP / views
    scale = "cpu" if machine.device == "cpu" else "gpu"
    return ViewBudget(
        flops,
        machine.budget / views,
        machine.device,
        machine.precision,
        scale,
        views,
        find_view_readers(basis.cohort.header, image, basis.model, "whole"),
        words,
    )


def _describe_target(machine: Machine) -> str:
    """Describe which share of the memory a step may fill."""
    if machine.device != "cuda":
        return ", half of the memory"
    return (
        f", {format_share_percent(DEVICE_MEMORY_SHARE)} of the device, with a margin of "
        f"{format_share_percent(DEVICE_MARGIN)} on the counted activations"
    )


def _plan_image(
    basis: SharedFacts,
    name: str,
    spec: ImageInput,
    records: list[ImageRecord],
    decoders: int,
    why: PlanReasons,
) -> tuple[ImagePlan, FieldChoice]:
    spec = spec.model_copy(update={"channels": why.choose_value("channels", spec.channels)})
    lacking = [c for c in spec.channels if any(c not in r.planes for r in records)]
    cases = sum(not case.test for case in basis.cohort.cases)
    flags = why.choose_value("channel_flags", bool(lacking) or len(records) < cases)
    why["dims"] = why["channels"] = "as the header says"
    if lacking:
        each = [f"{c} in {sum(c not in r.planes for r in records)}" for c in lacking]
        why["channel_flags"] = f"on: of {len(records)} images, some lack a channel ({join_first_names(each)})"
    elif flags:
        why["channel_flags"] = f"on: {cases - len(records)} of {cases} cases have no image of this input"
    else:
        why["channel_flags"] = (
            f"off: all {len(records)} images have every channel; a new case that lacks one is refused"
        )
    dropout = CHANNEL_DROPOUT_RATE if flags and len(spec.channels) > 1 else 0.0
    why["channel_dropout"] = (
        f"in training, channels are hidden at random (chance {format_share_percent(dropout)}), so that the network "
        "learns to do without them"
        if dropout
        else "off: " + ("the input has a single channel" if flags else "no image lacks a channel")
    )
    subjects = [case.subject for case in basis.fingerprint.cases.values() if name in case.images]
    geometry = plan_geometry(spec, records, why, [f"subject {subject}" for subject in subjects])
    # Each flag is a plane of its own that says whether its channel is present.
    planes = spec.planes + (len(spec.channels) if flags else 0)
    budget = choose_scale(_compute_view_budget(basis, name), geometry, planes, decoders)
    budget = choose_topology(budget, why)
    field = choose_field(geometry, planes, decoders, len(basis.pooled), budget, why)
    field = fix_sizes(field, geometry, decoders, budget, why)
    field = replace(field, frame=find_usual_frame(field, geometry, budget.views))
    t = field.topology
    size = field.patch or field.view or ()
    deepest = [n // s for n, s in zip(size, t.total, strict=True)]
    why["topology"] = explain_topology(t, size, decoders, basis.machine.device)
    why["widths"] = (
        f"{t.widths[0]} channels in the first stage, {explain_first_stage(t)}doubled in each further one up to "
        f"{max(t.widths)}: {explain_scale(budget.scale)}"
    )
    why["blocks"] = (
        "on a CPU one residual block per stage"
        if basis.machine.device == "cpu"
        else "on a GPU one residual block in the first stage, two in each further one"
    )
    why["strides"] = (
        f"{explain_first_stride(t)}each stage halves every axis while at least {TARGET_BOTTLENECK_EDGE} positions "
        f"remain ({format_sizes(deepest)} in the deepest stage); an axis at least twice as coarse as the finest one is "
        "halved later, and an axis that padding would lengthen by over 20 % less often"
    )
    why["kernels"] = _explain_kernels(t)
    why["trunk"] = (
        "null: an encoder of the image's own dimensions; `slices`, by hand, reads a volume slice by slice"
    )
    why["foreground"] = (
        f"{format_share_percent(FOREGROUND_SHARE)} of the training patches are centered on a known structure, so that "
        "small structures are seen"
        if field.patch
        else "not used: there are no patches"
    )
    plan = ImagePlan(
        dims=spec.dims,
        channels=dict(spec.channels),
        orientation=geometry.orientation,
        crop=geometry.crop,
        unit=geometry.unit,
        resize=geometry.resize,
        spacing=field.spacing,
        field=field.field,
        view=field.view,
        view_spacing=field.view_spacing,
        padding=field.padding,
        patch=field.patch,
        patches=field.patches,
        widths=t.widths,
        blocks=t.blocks,
        strides=t.strides,
        topology=name_topology(t, budget.topology, why),
        kernels=t.kernels or None,
        foreground=FOREGROUND_SHARE if field.patch else 0.0,
        channel_flags=flags,
        channel_dropout=dropout,
    )
    return plan, field


def _explain_kernels(topology: Topology) -> str:
    """Say where kernels do not reach along a coarse axis, and why."""
    if not topology.kernels:
        return "3 along every axis of every stage: no axis is much coarser than the finest one"
    counts = [sum(kernel[axis] == 1 for kernel in topology.kernels) for axis in range(topology.dims)]
    flat = [
        f"axis {axis} in the first {f'{count} stages' if count > 1 else 'stage'}"
        for axis, count in enumerate(counts)
        if count
    ]
    return (
        f"1 along {' and '.join(flat)}, 3 elsewhere: there its voxels are at least {COARSE_AXIS_RATIO:g} times as long "
        "as those of the finest axis, and a slice further on shows other tissue"
    )
