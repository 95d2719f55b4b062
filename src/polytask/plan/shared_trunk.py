"""One encoder for all image inputs: whether the images of a plan allow it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from polytask.plan.slice_trunk import drop_axis, find_slice_axis

if TYPE_CHECKING:
    from polytask.plan.plan_schema import ImagePlan, SharedPlan

PLAN_COMMAND = "`polytask plan --set model.trunk=shared`"


def list_trunk_breaches(shared: SharedPlan) -> Iterator[tuple[str, str]]:
    """Yield (path, what is wrong and what to do) where one encoder cannot read all image inputs of a plan."""
    if shared.model.trunk is None:
        return
    if len(shared.images) < 2:
        yield (
            "model.trunk",
            f"'shared' needs two image inputs, and the plan has {len(shared.images)}; set it to null",
        )
        return
    (first, own), *others = ((name, describe_encoder(image)) for name, image in shared.images.items())
    for name, other in others:
        if own["dims"] != other["dims"]:
            yield "model.trunk", explain_mixed_dimensions(first, own["dims"], name, other["dims"])
        for key in (key for key, value in own.items() if value != other[key] and key != "dims"):
            yield (
                "model.trunk",
                f"'shared' needs the same {key} in every image input, and those of {first!r} and {name!r} differ; "
                f"{PLAN_COMMAND} plans them for it",
            )


def describe_encoder(image: ImagePlan) -> dict[str, Any]:
    """Describe the weights and strides of the encoder of an image, value by value."""
    axis = find_slice_axis(image)
    kernels = image.kernels or ((3,) * image.dims,) * len(image.widths)
    return {
        "dims": image.dims - (axis is not None),
        "widths": image.widths,
        "blocks": image.blocks,
        "strides": drop_axis(image.strides, axis),
        "kernels": drop_axis(kernels, axis),
    }


def explain_mixed_dimensions(one: str, dims: int, other: str, other_dims: int) -> str:
    """Say that one encoder cannot read two inputs of different dimensions."""
    return (
        f"'shared' reads inputs of the same dimensions, and {one!r} is read in {dims}D and {other!r} in {other_dims}D; "
        "set it to null"
    )
