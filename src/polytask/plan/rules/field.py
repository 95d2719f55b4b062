"""Decides what one training step reads of an image: the whole image, patches, or both; and their sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytask.kinds.reasons import Why, times
from polytask.plan.plan import Field3
from polytask.plan.rules.cost import Topology
from polytask.plan.rules.geometry import Geometry
from polytask.plan.rules.sizes import SMALL, Budget, covering, finest_view, largest_patch, small, view_flops
from polytask.plan.rules.topology import padded, topology

TOLERANCE = 1.5
"""A single whole view may exceed the budget by this factor: it is simpler, since predictions need no stitching."""
VIEW_SHARE = 0.3
"""Share of the budget for the whole view, where the budget is divided between view and patches."""


@dataclass(frozen=True)
class Seen:
    """The decided field with its sizes in voxels, all of them multiples of the total stride of the topology."""

    field: Field3
    spacing: tuple[float, ...]
    view: tuple[int, ...] | None
    view_spacing: tuple[float, ...] | None
    patch: tuple[int, ...] | None
    patches: int
    topology: Topology

    def flops(self, decoders: int) -> float:
        """Count the FLOP of a forward pass for one visit."""
        # With patches the decoders run on the patches only; the whole view passes the encoder alone.
        whole = view_flops(self.topology, self.view, 0 if self.patch else decoders) if self.view else 0.0
        return whole + (self.patches * view_flops(self.topology, self.patch, decoders) if self.patch else 0.0)


def choose_field(g: Geometry, planes: int, voxel: int, pooled: int, budget: Budget, why: Why) -> Seen:
    """Choose the field of one image input.

    Args:
        g: its geometry, with the sizes of all cases.
        planes: number of input planes.
        voxel: number of decoders, one for each voxel task on this image unless they share one.
        pooled: number of visit and subject tasks.
        budget: what one visit of one subject may cost.
        why: takes the reasons.
    """

    def net(size: Sequence[int], spacing: Sequence[float]) -> Topology:
        return topology(size, spacing, planes, budget.device, int(budget.memory))

    full = g.largest()
    t = net(full, g.spacing)
    size = padded(full, t.total)
    cost = f"{times(full)} voxels cost {view_flops(t, size, voxel) / 1e9:.3g} GFLOP a visit forward"
    limit = f"at most {TOLERANCE * budget.flops / 1e9:.3g}: {budget.words}"
    if budget.share(TOLERANCE).fits(t, size, voxel) or (small(full) and budget.holds(t, size, voxel)):
        reason = f"; up to {times([SMALL[t.dims]] * t.dims)} it always is" if small(full) else ""
        why["field"] = f"the largest case is seen whole: {cost} ({limit}{reason})"
        why["view_spacing"] = "the spacing itself: the view is at full resolution"
        return _whole(full, g.spacing, size, t, why)
    if voxel == 0:
        why["field"] = f"no voxel task needs full resolution, and {cost} ({limit})"
        spacing, size, t = finest_view(full, g.spacing, budget, net)
        words = (
            f"the median is {times(g.spacing, g.unit)}; made coarser until the largest case fits the budget"
        )
        why["spacing"] = why["view_spacing"] = f"{words}: {times(spacing, g.unit)}"
        return _whole(covering(full, g.spacing, spacing), spacing, size, t, why)
    if pooled == 0:
        why["field"] = f"only voxel tasks read this image, and {cost} ({limit})"
        why["view"] = why["view_spacing"] = "no whole view: no visit or subject task reads this image"
        patch, t = largest_patch(g.typical(), g.spacing, budget, voxel, net)
        _why_patch(g, t, 1, why)
        return Seen("patch", g.spacing, None, None, patch, 1, t)
    why["field"] = (
        f"visit and subject tasks need the whole, voxel tasks full resolution, and {cost} ({limit})"
    )
    rest, patches = budget.share(1 - VIEW_SHARE), 1
    patch, _ = largest_patch(g.typical(), g.spacing, rest, voxel, net)
    halved, _ = largest_patch(g.typical(), g.spacing, rest.share(0.5), voxel, net)
    if min(halved) >= min(SMALL[t.dims], *patch):
        patch, patches = halved, 2
    view_spacing, view, _ = finest_view(full, g.spacing, budget.share(VIEW_SHARE), net)
    # One encoder reads view and patch, so that the smaller edge of the two limits how often an axis is halved. Both are
    # then padded to the stride of this common network.
    t = net([min(v, p) for v, p in zip(view, patch, strict=True)], g.spacing)
    view, patch = padded(covering(full, g.spacing, view_spacing), t.total), padded(patch, t.total)
    why["view"] = f"the largest case, {times(full)}, at the view's spacing, in multiples of {times(t.total)}"
    why["view_spacing"] = (
        f"made coarser than {times(g.spacing, g.unit)} until the encoder alone fits {VIEW_SHARE:.0%} of the budget"
    )
    _why_patch(g, t, patches, why)
    return Seen("both", g.spacing, view, view_spacing, patch, patches, t)


def _whole(
    full: Sequence[int], spacing: tuple[float, ...], size: tuple[int, ...], t: Topology, why: Why
) -> Seen:
    why["view"] = f"the largest case, {times(full)}, padded to multiples of the total stride {times(t.total)}"
    why["patch"] = "no patches: the whole image is seen"
    why["patches"] = "not used: the whole image is seen"
    return Seen("whole", spacing, size, spacing, None, 1, t)


def _why_patch(g: Geometry, t: Topology, patches: int, why: Why) -> None:
    why["patch"] = (
        f"the largest box with equal edges in {g.unit}, within the median case {times(g.typical())}, that fits the "
        f"rest of the budget, in multiples of the total stride {times(t.total)}"
    )
    why["patches"] = (
        "two a visit fit the budget" if patches > 1 else "one a visit, as large as the budget allows"
    )
