"""Decides what one training step reads of an image: the whole image, patches, or both; and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, format_sizes
from polytask.plan.machine import GIB
from polytask.plan.plan_schema import FieldOfView, ViewPadding
from polytask.plan.rules.fixed_field import fix_field
from polytask.plan.rules.image_geometry import ImageGeometry
from polytask.plan.rules.network_cost import Topology
from polytask.plan.rules.topology import pad_to_strides
from polytask.plan.rules.typical_patch import find_typical_patch
from polytask.plan.rules.view_padding import choose_padding
from polytask.plan.rules.view_sizes import (
    SMALLEST_VIEW_EDGE,
    TopologyChooser,
    ViewBudget,
    compute_covering_size,
    count_view_flops,
    explain_patch_limit,
    find_finest_view,
    find_largest_patch,
    is_within_smallest_view,
)

WHOLE_VIEW_TOLERANCE = 1.5
"""A single whole view may exceed the time by this factor: it is simpler, since predictions need no stitching."""
VIEW_BUDGET_SHARE = 0.3
"""Share of the budget for the whole view, where the budget is divided between view and patches."""
MAX_PICTURE_STEP = 2.0
"""Pictures without a physical scale are seen whole even if voxel tasks read them, as long as their edges shrink by at
most this factor; else voxel tasks would lose small structures."""
NO_VIEW = "not used: there is no whole view to pad"
"""The reason of `padding` where only patches are read."""


@dataclass(frozen=True)
class FieldChoice:
    """The decided field with its sizes in voxels, all of them multiples of the total stride of the topology.

    `frame` is the size that whole views usually have in a step, where `padding` makes them smaller than the view.
    """

    field: FieldOfView
    spacing: tuple[float, ...]
    view: tuple[int, ...] | None
    view_spacing: tuple[float, ...] | None
    patch: tuple[int, ...] | None
    patches: int
    topology: Topology
    padding: ViewPadding | None = None
    frame: tuple[int, ...] | None = None

    def flops(self, decoders: int) -> float:
        """Count the FLOP of a forward pass for one visit."""
        # With patches the decoders run on the patches only; the whole view passes the encoder alone.
        view = self.frame or self.view
        whole = count_view_flops(self.topology, view, 0 if self.patch else decoders) if view else 0.0
        return whole + (
            self.patches * count_view_flops(self.topology, self.patch, decoders) if self.patch else 0.0
        )


def choose_field(
    geometry: ImageGeometry,
    planes: int,
    decoders: int,
    pooled_tasks: int,
    budget: ViewBudget,
    why: PlanReasons,
) -> FieldChoice:
    """Choose the field of one image input.

    Args:
        geometry: geometry of the input, with the sizes of all cases.
        planes: number of input planes.
        decoders: number of decoders, one for each voxel task on this image unless they share one.
        pooled_tasks: number of visit and subject tasks.
        budget: what one visit of one subject may cost.
        why: takes the reasons.
    """

    def net(size: Sequence[int], spacing: Sequence[float]) -> Topology:
        return budget.plan_network(size, spacing, planes, why)

    full, held = geometry.find_view_size(), geometry.describe_view_size()
    t = net(full, geometry.spacing)
    size = pad_to_strides(full, t.total)
    cost = (
        f"{held}, needs {budget.count_memory(t, size, decoders) / GIB:.3g} GiB and "
        f"{count_view_flops(t, size, decoders) / 1e9:.3g} GFLOP per visit and forward pass"
    )
    limit = (
        f"limits {budget.memory / GIB:.3g} GiB and {WHOLE_VIEW_TOLERANCE * budget.flops / 1e9:.3g} GFLOP: "
        f"{budget.words}, and a single whole view may take {WHOLE_VIEW_TOLERANCE:g} times the time"
    )
    fits = budget.allow_time(WHOLE_VIEW_TOLERANCE).fits(t, size, decoders) or (
        is_within_smallest_view(full) and budget.has_memory_for(t, size, decoders)
    )
    # The search tries many sizes, and a whole image that fits needs no coarser one.
    coarse = None if fits else find_finest_view(full, geometry.spacing, budget, net, decoders)
    # A stack has patches instead: its masks are judged at full resolution, as those of any other volume.
    is_picture = geometry.resize is not None and len(full) == 2
    is_small_picture = bool(coarse and is_picture and max(coarse[0]) <= MAX_PICTURE_STEP)
    typical_patch = (
        find_typical_patch(geometry, size, net, why) if fits and decoders and not pooled_tasks else None
    )
    sees_whole = not typical_patch and (fits or not decoders or is_small_picture)
    planned: FieldOfView = "whole" if sees_whole else "both" if pooled_tasks else "patch"
    field = fix_field(planned, decoders, pooled_tasks, why)
    if field == "patch" and typical_patch:
        patch, t = typical_patch
        why["padding"] = NO_VIEW
        return FieldChoice("patch", geometry.spacing, None, None, patch, 1, t)
    may_be_coarser = (not decoders or is_small_picture) and not why.is_fixed("spacing")
    if field == "whole" and not (coarse and may_be_coarser):
        reason = (
            "; more than the limit, because `spacing` was set by hand"
            if not fits
            else f"; up to {format_sizes([SMALLEST_VIEW_EDGE[t.dims]] * t.dims)} voxels only the memory counts"
            if is_within_smallest_view(full)
            else ""
        )
        why["field"] = f"whole: {cost} ({limit}{reason})"
        why["view_spacing"] = "same as `spacing`: the view is at full resolution"
        return _choose_whole_view(held, geometry, geometry.spacing, size, t, net, why)
    if field == "whole" and coarse:
        spacing, size, t = coarse
        reason = (
            f"a picture without a physical scale is resized to the view, here by less than {MAX_PICTURE_STEP:g} times"
            if is_small_picture
            else "no voxel task needs full resolution"
        )
        why["field"] = f"whole, but coarser: {reason}, and {cost} ({limit})"
        why["spacing"] = why["view_spacing"] = (
            f"coarser than {format_sizes(geometry.spacing, geometry.unit)}, so that the view fits the limit of "
            f"`field`: {format_sizes(spacing, geometry.unit)}"
        )
        return _choose_whole_view(f"{held}, at the coarser spacing", geometry, spacing, size, t, net, why)
    shrunk = ""
    if coarse and is_picture and not is_small_picture:
        shrunk = (
            f"; a picture seen whole would shrink by {max(coarse[0]):.2g} times, and beyond {MAX_PICTURE_STEP:g} times "
            "voxel tasks lose small structures"
        )
    if field == "patch":
        why["field"] = f"patch: only voxel tasks read this image, and {cost} ({limit}{shrunk})"
        why["view"] = why["view_spacing"] = "not used: no visit or subject task reads this image"
        why["padding"] = NO_VIEW
        typical = geometry.find_median_size()
        patch, t = find_largest_patch(typical, geometry.spacing, budget, decoders, net)
        stop = explain_patch_limit(patch, typical, geometry.spacing, budget, decoders, net)
        _explain_patch(geometry, t, 1, stop, why)
        return FieldChoice("patch", geometry.spacing, None, None, patch, 1, t)
    why["field"] = (
        "both: visit and subject tasks need the whole image, voxel tasks need full resolution, and "
        f"{cost} ({limit}{shrunk})"
    )
    patch_budget, patches = budget.share(1 - VIEW_BUDGET_SHARE), 1
    typical = geometry.find_median_size()
    patch, _ = find_largest_patch(typical, geometry.spacing, patch_budget, decoders, net)
    halved, _ = find_largest_patch(typical, geometry.spacing, patch_budget.share(0.5), decoders, net)
    # A GPU always gets one patch, so that a larger one never gets two that are smaller.
    if budget.device == "cpu" and min(halved) >= min(SMALLEST_VIEW_EDGE[t.dims], *patch):
        patch, patches = halved, 2
    stop = explain_patch_limit(
        patch, typical, geometry.spacing, patch_budget.share(1 / patches), decoders, net
    )
    view_spacing, view, _ = find_finest_view(full, geometry.spacing, budget.share(VIEW_BUDGET_SHARE), net)
    # One encoder reads view and patch, so that the smaller edge of the two limits how often an axis is halved. Both are
    # then padded to the stride of this common network.
    t = net([min(v, p) for v, p in zip(view, patch, strict=True)], geometry.spacing)
    view, patch = (
        pad_to_strides(compute_covering_size(full, geometry.spacing, view_spacing), t.total),
        pad_to_strides(patch, t.total),
    )
    why["view"] = (
        f"{held} at `spacing`, resampled to the coarser `view_spacing` and "
        f"padded to multiples of the network's total stride {format_sizes(t.total)}"
    )
    why["padding"] = (
        f"to the view: with patches beside it, it takes at most {format_share_percent(VIEW_BUDGET_SHARE)} of a step"
    )
    why["view_spacing"] = (
        f"coarser than {format_sizes(geometry.spacing, geometry.unit)}, so that the encoder needs at most "
        f"{format_share_percent(VIEW_BUDGET_SHARE)} of the time and memory of a step for the view"
    )
    _explain_patch(geometry, t, patches, stop, why)
    return FieldChoice("both", geometry.spacing, view, view_spacing, patch, patches, t)


def _choose_whole_view(
    held: str,
    geometry: ImageGeometry,
    spacing: tuple[float, ...],
    size: tuple[int, ...],
    t: Topology,
    net: TopologyChooser,
    why: PlanReasons,
) -> FieldChoice:
    choice = choose_padding(FieldChoice("whole", spacing, size, spacing, None, 1, t), geometry, net, why)
    total = format_sizes(choice.topology.total)
    why["view"] = f"{held}, padded to multiples of the network's total stride {total}"
    why["patch"] = "not used: the whole image is seen"
    why["patches"] = "not used: the whole image is seen"
    return choice


def _explain_patch(
    geometry: ImageGeometry, chosen_topology: Topology, patches: int, stop: str, why: PlanReasons
) -> None:
    why["patch"] = (
        f"the largest box with about equal edges in {geometry.unit} that lies within the median case "
        f"({format_sizes(geometry.find_median_size())} voxels) and fits the time and memory for patches ({stop}); in "
        f"multiples of the network's total stride {format_sizes(chosen_topology.total)}"
    )
    why["patches"] = (
        "two per visit fit the time and memory of a step"
        if patches > 1
        else "one per visit, as large as time and memory allow"
    )
