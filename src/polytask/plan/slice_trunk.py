"""A volume that is read slice by slice: which axis the slices are counted along, and what that excludes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from polytask.plan.rules.network_cost import Topology

if TYPE_CHECKING:
    from polytask.plan.plan_schema import ImagePlan


def find_slice_axis(image: ImagePlan) -> int | None:
    """Find the axis along which the slices of an image are counted: the one with the largest spacing, of equal ones the
    last. None: the image is read as a volume."""
    if image.trunk != "slices":
        return None
    spacing = image.view_spacing or image.spacing
    return max(range(image.dims), key=lambda axis: (round(spacing[axis], 6), axis))


def drop_axis(values: Sequence[Sequence[int]], axis: int | None) -> tuple[tuple[int, ...], ...]:
    """Drop an axis of the strides or kernels of each stage; None drops nothing."""
    return tuple(tuple(v for a, v in enumerate(stage) if a != axis) for stage in values)


def flatten_topology(topology: Topology, axis: int | None) -> Topology:
    """Return what a topology costs when slices are read one by one: along the axis its strides and kernels are 1."""
    if axis is None:
        return topology
    kernels = topology.kernels or ((3,) * topology.dims,) * len(topology.widths)
    return replace(
        topology,
        strides=tuple(_set_axis(stage, axis) for stage in topology.strides),
        kernels=tuple(_set_axis(stage, axis) for stage in kernels),
    )


def _set_axis(stage: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(1 if a == axis else value for a, value in enumerate(stage))


def list_slice_breaches(image: ImagePlan) -> Iterator[tuple[str, str]]:
    """Yield (key, what is wrong and what to do) for an image that is read slice by slice."""
    if image.trunk is None:
        return
    if image.dims != 3:
        yield "trunk", "slices are those of a volume; a 2D image is one slice: set it to null"
    elif image.field != "whole" or image.roi is not None:
        yield "trunk", "slices are read of the whole view; set field to whole, and roi and patch to null"
