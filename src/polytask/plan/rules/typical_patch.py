"""Finds the patch that fits the typical case, for images of which a whole view would be padding for the most part."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from statistics import median

from polytask.kinds.plan_reasons import PlanReasons, format_share_percent, format_sizes
from polytask.plan.rules.image_geometry import ImageGeometry
from polytask.plan.rules.network_cost import Topology
from polytask.plan.rules.topology import pad_to_strides
from polytask.plan.rules.view_sizes import TopologyChooser

MAX_PADDING_SHARE = 0.3
"""A whole view of which the median case leaves more than this share empty is replaced by a patch."""


def find_typical_patch(
    geometry: ImageGeometry, view: Sequence[int], net: TopologyChooser, why: PlanReasons
) -> tuple[tuple[int, ...], Topology] | None:
    """Find the patch that holds the median case; None where a whole view wastes little, and for scaled photos.

    Only for images that no visit or subject task reads: these need the whole image, whatever its size.

    Args:
        geometry: has the sizes of all cases.
        view: size of the whole view that is planned otherwise.
        net: chooses the network for a size.
        why: takes the reasons where there is a patch.
    """
    padding = 1 - median(prod(size) for size in geometry.sizes) / prod(view)
    typical = geometry.find_median_size()
    topology = net(typical, geometry.spacing)
    patch = pad_to_strides(typical, topology.total)
    if padding <= MAX_PADDING_SHARE or prod(patch) >= prod(view) or geometry.resize is not None:
        return None
    why["field"] = (
        f"patch: only voxel tasks read this image, and {format_share_percent(padding)} of a whole view, "
        f"{format_sizes(view)} voxels, would be padding in the median case (limit "
        f"{format_share_percent(MAX_PADDING_SHARE)})"
    )
    why["view"] = why["view_spacing"] = "not used: no visit or subject task reads this image"
    why["patch"] = (
        f"the median case, {format_sizes(typical)} voxels, padded to multiples of the network's total stride "
        f"{format_sizes(topology.total)}; larger cases are seen in several windows"
    )
    why["patches"] = "one per visit: it holds all of a typical case"
    return patch, topology
