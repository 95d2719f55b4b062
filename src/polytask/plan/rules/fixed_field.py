"""Makes field, view and patch of an image go with those of them that were set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil, floor, log10
from typing import TYPE_CHECKING

from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons, format_sizes, round_number
from polytask.plan.plan_schema import FieldOfView
from polytask.plan.rules.fixed_stages import fix_divisor
from polytask.plan.rules.network_cost import Topology
from polytask.plan.rules.topology import pad_to_strides
from polytask.plan.rules.view_padding import find_typical_size
from polytask.plan.rules.view_sizes import ViewBudget, compute_covering_size

if TYPE_CHECKING:
    from polytask.plan.rules.field_of_view import FieldChoice
    from polytask.plan.rules.image_geometry import ImageGeometry

SPACING_DIGITS = 4


def fix_field(planned: FieldOfView, decoders: int, pooled_tasks: int, why: PlanReasons) -> FieldOfView:
    """Return the field that was set by hand, or that follows from a view or a patch that was, else the planned one.

    Args:
        decoders: number of decoders on the image. pooled_tasks: number of visit and subject tasks.
    """
    no_size: tuple[int, ...] | None = None
    no_spacing: tuple[float, ...] | None = None
    field = planned
    if why.choose_value("patch", no_size) is not None and planned == "whole" and decoders:
        field = "both" if pooled_tasks else "patch"
        why.lock_reason("field", f"{field}: follows patch, set by hand")
    elif (
        why.choose_value("view", no_size) is not None
        or why.choose_value("view_spacing", no_spacing) is not None
    ) and planned == "patch":
        field = "whole"
        why.lock_reason("field", "whole: follows the view, set by hand")
    field = why.choose_value("field", field)
    if field == "patch" and pooled_tasks:
        raise PolytaskError(
            f"--set {why.quote_settings('field')}: {pooled_tasks} visit or subject tasks need the whole image; "
            "expected whole or both"
        )
    if field != "whole" and not decoders:
        raise PolytaskError(
            f"--set {why.quote_settings('field')}: no voxel task reads patches of this image; expected whole"
        )
    return field


def fix_sizes(
    choice: FieldChoice, geometry: ImageGeometry, decoders: int, budget: ViewBudget, why: PlanReasons
) -> FieldChoice:
    """Return the field with the sizes set by hand; the other sizes and the network follow from them.

    Args:
        choice: what the rules chose. geometry: geometry of the image.
        decoders: number of decoders on it. budget: what one view may cost.
        why: knows what was set by hand, and takes the reasons.
    """
    view, patch = why.choose_value("view", choice.view), why.choose_value("patch", choice.patch)
    view_spacing = why.choose_value("view_spacing", choice.view_spacing)
    _check_use(choice, {"view": view, "patch": patch, "view_spacing": view_spacing}, why)
    patches = why.choose_value("patches", choice.patches)
    sizes = {
        key: size
        for key, size, planned in (("view", view, choice.view), ("patch", patch, choice.patch))
        if size is not None and size != planned
    }
    full, spacing, coarser = geometry.find_view_size(), choice.spacing, view_spacing != choice.view_spacing
    if not sizes and not coarser:
        return replace(choice, patches=patches)

    def net(size: Sequence[int]) -> Topology:
        return budget.plan_network(size, spacing, choice.topology.planes, why)

    names = " and ".join([*sizes, *(["view_spacing"] if coarser else [])])
    if coarser and view_spacing and choice.field == "whole" and not why.is_fixed("spacing"):
        spacing = view_spacing
        why.lock_reason(
            "spacing", "follows view_spacing, set by hand: a whole view has the spacing of the image"
        )
    covering = compute_covering_size(full, geometry.spacing, view_spacing or spacing)
    smallest = find_typical_size(geometry, view_spacing or spacing) if choice.padding else view or patch or ()
    if view and coarser and "view" not in sizes:
        view = pad_to_strides(covering, net(smallest if choice.padding else covering).total)
    t = net([min(edges) for edges in zip(smallest, view or patch or (), patch or view or (), strict=True)])
    for key, size in sizes.items():
        t = fix_divisor(t, key, size, why)
    padded = f"padded to multiples of the network's total stride {format_sizes(t.total)}"
    if view and "view" not in sizes:
        view = pad_to_strides(covering, t.total)
        why.lock_reason("view", f"follows {names}, set by hand: the largest case at `view_spacing`, {padded}")
    elif (
        view
        and not coarser
        and view != pad_to_strides(covering, t.total)
        and (choice.field == "both" or not (decoders or why.is_fixed("spacing")))
    ):
        view_spacing = _find_covering_spacing(full, geometry.spacing, view)
        words = "follows view, set by hand, so that the largest case fits into it"
        why.lock_reason("view_spacing", words)
        if choice.field == "whole":
            spacing = view_spacing
            why.lock_reason("spacing", words)
    if patch and "patch" not in sizes:
        planned, patch = patch, pad_to_strides(patch, t.total)
        why.lock_reason("patch", f"follows {names}, set by hand: {format_sizes(planned)} voxels, {padded}")
    if view and view_spacing and patch:
        extents = [
            tuple(n * edge for n, edge in zip(size, edges, strict=True))
            for size, edges in ((patch, spacing), (view, view_spacing))
        ]
        # A short axis is padded to the total stride, in the patch perhaps more than in the view.
        padding = [stride * edge for stride, edge in zip(t.total, spacing, strict=True)]
        if any(p > v + more for p, v, more in zip(*extents, padding, strict=True)):
            texts = [text for key in ("patch", "view", "view_spacing") if (text := why.quote_settings(key))]
            raise PolytaskError(
                f"--set {' '.join(texts)}: a patch of {format_sizes(extents[0], geometry.unit)} does not fit into the "
                f"view of {format_sizes(extents[1], geometry.unit)}; choose a smaller patch, or a larger view"
            )
    return replace(
        choice,
        spacing=spacing,
        view=view,
        view_spacing=view_spacing,
        patch=patch,
        patches=patches,
        topology=t,
    )


def _check_use(choice: FieldChoice, values: Mapping[str, object], why: PlanReasons) -> None:
    """Refuse a size that the field does not use, and null for one that it needs."""
    for key, value in values.items():
        needed = getattr(choice, key) is not None
        if needed != (value is not None):
            raise PolytaskError(
                f"--set {why.quote_settings('field', key).strip()}: field {choice.field} "
                + (
                    f"needs a {key}; name a size"
                    if needed
                    else f"has no {key}; choose another field, or leave it out"
                )
            )


def _find_covering_spacing(
    full: Sequence[int], spacing: Sequence[float], size: Sequence[int]
) -> tuple[float, ...]:
    """Find the finest spacing at which an array of this size holds the largest case.

    The finest axes are made coarser first, and none gets finer than in `spacing`.
    """
    edge = max(n * s / v for n, s, v in zip(full, spacing, size, strict=True))
    # Rounded up: a spacing that is a little too fine would need one voxel more.
    unit = 10.0 ** (floor(log10(edge)) + 1 - SPACING_DIGITS)
    edge = ceil(edge / unit - 1e-9) * unit
    return tuple(round_number(max(s, edge), SPACING_DIGITS) for s in spacing)
