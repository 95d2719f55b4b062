"""Decides how far images that are smaller than the whole view are padded: to the view, or to the largest of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil, prod
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, format_sizes
from polytask.plan.plan_schema import ViewPadding
from polytask.plan.rules.image_geometry import ImageGeometry
from polytask.plan.rules.topology import pad_to_strides
from polytask.plan.rules.typical_patch import MAX_PADDING_SHARE
from polytask.plan.rules.view_sizes import TopologyChooser, compute_covering_size

if TYPE_CHECKING:
    from polytask.plan.rules.field_of_view import FieldChoice


def choose_padding(
    choice: FieldChoice, geometry: ImageGeometry, net: TopologyChooser, why: PlanReasons
) -> FieldChoice:
    """Choose how far the whole views of a field are padded; return the field with its view and network for it.

    All of them are padded to the view, unless `batch` is set by hand. The network then sees arrays as small as the
    typical case, so that its strides are planned for this size; the view gets multiples of these strides.

    Args:
        choice: the field `whole`, with the view to which all images would be padded.
        geometry: has the sizes of all cases.
        net: chooses the network for a size.
        why: takes the reason, and knows a view that was set by hand.
    """
    view = why.choose_value("view", choice.view) or choice.view
    assert view is not None
    share = 1 - median(prod(size) for size in list_view_sizes(geometry, choice.spacing)) / prod(view)
    typical = find_typical_size(geometry, choice.spacing)
    topology = net([min(pair) for pair in zip(typical, view, strict=True)], choice.spacing)
    usual = pad_to_strides(typical, topology.total)
    waste = f"{format_share_percent(share)} of a view of {format_sizes(view)} voxels is padding in the median case"
    limit = f"limit {format_share_percent(MAX_PADDING_SHARE)}"
    # Measured: steps were quicker with `batch`, and masks worse, so that it is not planned.
    planned: ViewPadding | None = None
    padding = why.choose_value("padding", planned)
    if padding is None:
        note = ""
        if share > MAX_PADDING_SHARE:
            note = (
                "; `batch` would make steps quicker, but masks were worse in a trial"
                if prod(usual) < prod(view)
                else "; the strides of the network need it"
            )
        why["padding"] = f"to the view: {waste} ({limit}){note}"
        return choice
    why["padding"] = (
        f"batch: {waste} ({limit}). In training, images are padded to the largest one of their batch; at prediction, "
        f"to a multiple of the total stride {format_sizes(topology.total)} (the median case: {format_sizes(usual)})"
    )
    full = compute_covering_size(geometry.find_view_size(), geometry.spacing, choice.spacing)
    return replace(choice, padding=padding, topology=topology, view=pad_to_strides(full, topology.total))


def find_usual_frame(choice: FieldChoice, geometry: ImageGeometry, views: int) -> tuple[int, ...] | None:
    """Find the size that the views of a step usually have, where they are padded to the batch; None elsewhere.

    The largest of n cases lies about where n / (n + 1) of all cases are smaller.

    Args:
        choice: the decided field.
        geometry: has the sizes of all cases.
        views: n, the number of views of a step.
    """
    if choice.padding is None or choice.view is None:
        return None
    sizes = list_view_sizes(geometry, choice.view_spacing or choice.spacing)
    largest = np.quantile(sizes, views / (views + 1), axis=0, method="higher")
    return tuple(map(min, pad_to_strides(largest.tolist(), choice.topology.total), choice.view))


def list_view_sizes(geometry: ImageGeometry, spacing: Sequence[float]) -> list[tuple[int, ...]]:
    """List the size of every case in a whole view of this spacing."""
    return [compute_covering_size(size, geometry.spacing, spacing) for size in geometry.sizes]


def find_typical_size(geometry: ImageGeometry, spacing: Sequence[float]) -> tuple[int, ...]:
    """Find the median size of the cases in a whole view of this spacing, axis by axis, rounded up."""
    return tuple(ceil(v) for v in np.median(list_view_sizes(geometry, spacing), axis=0))
