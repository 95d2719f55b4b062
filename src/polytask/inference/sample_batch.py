"""Makes the batch of one whole sample, as the network reads it outside training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from polytask.plan.plan_schema import ImagePlan, Plan
from polytask.plan.roi_plan import compute_crop_size, is_grid
from polytask.prepare.bag_tensors import stack_bags
from polytask.prepare.batch import Batch
from polytask.prepare.evaluation_sample import FullSample
from polytask.prepare.geometry_draw import find_flips
from polytask.prepare.mirrored_channels import order_mirrored_planes
from polytask.prepare.normalization import count_input_planes
from polytask.prepare.tiles import cut_tiles, list_named_centers, list_tile_centers, stack_tiles
from polytask.prepare.window import find_view_frame, pad_around

FindChannelOrder = Callable[[str, int, Sequence[int]], Sequence[int]]
"""(image input, visit slot, mirrored axes) → which channel of the file stands at each position of the mirrored image;
empty when no channel moves."""


def make_sample_batch(
    sample: FullSample, plan: Plan, axes: Sequence[int], cropped: Collection[str] | None = None
) -> Batch:
    """Make a batch of this one sample, mirrored along `axes`, without patches and targets.

    It has the crops of the images `cropped` (None: of all that have `roi`).
    """
    whole: dict[str, Tensor] = {}
    for name, image in plan.shared.images.items():
        if image.field == "patch":
            continue
        arrays = sample.images[name] if image.field == "whole" else sample.whole[name]
        shapes = [a.shape[1:] for a in arrays if a is not None]
        # An image may be larger than the planned view: all of it is seen, nothing is cropped.
        size = [max(column) for column in zip(find_view_frame(image, shapes), *shapes, strict=True)]
        mirrored = select_mirror_axes(plan, name, axes)
        # A visit without this image still needs a place of the same shape.
        planes = next((a.shape[0] for a in arrays if a is not None), count_input_planes(image))
        views = [
            torch.zeros((planes, *size))
            if a is None
            else pad_around(mirror_axes(torch.from_numpy(a).float(), mirrored), size)
            for a in arrays
        ]
        whole[name] = torch.stack(views)[None]
    bags = {name: stack_bags(slides, plan.shared.slides[name]) for name, slides in sample.bags.items()}
    batch = Batch(
        subjects=(sample.subject,),
        visits=(sample.visits,),
        visit_known=torch.from_numpy(sample.visit_known)[None],
        day=torch.from_numpy(sample.day).float()[None],
        whole=whole,
        patch={},
        channel_known={k: torch.from_numpy(v)[None] for k, v in sample.channel_known.items()},
        tables={k: torch.from_numpy(v).float()[None] for k, v in sample.tables.items()},
        table_known={k: torch.from_numpy(v)[None] for k, v in sample.table_known.items()},
        targets={},
        bags={n: b[0][None] for n, b in bags.items()},
        bag_known={n: b[1][None] for n, b in bags.items()},
    )
    with_crops = [n for n, i in plan.shared.images.items() if i.roi] if cropped is None else cropped
    return add_sample_crops(batch, sample, plan, axes, with_crops) if with_crops else batch


def add_sample_crops(
    batch: Batch, sample: FullSample, plan: Plan, axes: Sequence[int], images: Iterable[str]
) -> Batch:
    """Add the crops of some images, or the places from which the network chooses them, to a batch of this sample."""
    crops = {
        n: _make_crops(sample, n, plan.shared.images[n], select_mirror_axes(plan, n, axes)) for n in images
    }
    return replace(
        batch, crops={n: c[0] for n, c in crops.items()}, crop_known={n: c[1] for n, c in crops.items()}
    )


def select_mirror_axes(plan: Plan, image: str, axes: Sequence[int]) -> tuple[int, ...]:
    """Select those of the axes along which training flipped this image input; 2D and 3D inputs may differ."""
    if not axes:
        return ()
    flips = find_flips(plan.shared.augmentation, plan.shared.images[image].dims)
    return tuple(axis for axis in axes if axis < len(flips) and flips[axis])


def _make_crops(sample: FullSample, name: str, plan: ImagePlan, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Cut the places of crops: `[1, V, G, C, *size]`, and known `[1, V, G]`.

    These are the places of the sample, which the table named or a predicted mask gave; else the whole grid.
    """
    size = compute_crop_size(plan)
    tiles: list[Tensor | None] = []
    for slot, array in enumerate(sample.images[name]):
        if array is None:
            tiles.append(None)
            continue
        image, shape = mirror_axes(torch.from_numpy(array).float(), axes), array.shape[1:]
        places = [
            [
                n - 1 - value if axis in axes else value
                for axis, (value, n) in enumerate(zip(place, shape, strict=True))
            ]
            for place in sample.places.get(name, [()] * len(sample.visits))[slot]
        ]
        grid = is_grid(plan) and not places
        centers = list_tile_centers(shape, size) if grid else list_named_centers(places, shape)
        tiles.append(cut_tiles(image, centers, size))
    values, known = stack_tiles(tiles, count_input_planes(plan), size)
    return values[None], known[None]


def mirror_axes(array: Tensor, axes: Sequence[int]) -> Tensor:
    """Mirror `[C, *space]` along some of its spatial axes. Mirroring twice gives the array back."""
    return array.flip([1 + a for a in axes]) if axes else array


def reorder_channels(
    sample: FullSample, plan: Plan, axes: Sequence[int], find_channel_order: FindChannelOrder
) -> FullSample:
    """Return the sample with its paired channels in the places that they have once it is mirrored along the axes."""
    images, whole = dict(sample.images), dict(sample.whole)
    known = dict(sample.channel_known)
    for name, image in plan.shared.images.items():
        mirrored = select_mirror_axes(plan, name, axes)
        for slot in range(len(sample.visits)):
            order = find_channel_order(name, slot, mirrored)
            if not order:
                continue
            planes = order_mirrored_planes(image, order)
            for arrays in (images, whole):
                if name in arrays and (array := arrays[name][slot]) is not None:
                    # A new list: the sample itself stays as it is.
                    arrays[name] = [*arrays[name][:slot], array[planes], *arrays[name][slot + 1 :]]
            known[name] = known[name].copy()
            known[name][slot] = known[name][slot][list(order)]
    return replace(sample, images=images, whole=whole, channel_known=known)
