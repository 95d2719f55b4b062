"""Make the views of an image that the network reads: the whole image or patches, with the masks and doses on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polytask.images.volume import Array, Grid
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.roi_plan import compute_crop_size, is_grid
from polytask.prepare.geometry_draw import GeometryDraw
from polytask.prepare.intensity_draw import IntensityDraw, apply_intensity
from polytask.prepare.mirrored_channels import order_mirrored_planes
from polytask.prepare.normalization import append_channel_flags, normalize_planes
from polytask.prepare.prepared_image import PreparedImage
from polytask.prepare.schema import BatchSchema, VoxelTaskShape
from polytask.prepare.seeded_generators import make_generator, make_torch_generator
from polytask.prepare.store import StoredCase
from polytask.prepare.tiles import cut_tiles, list_named_centers, list_tile_centers, stack_tiles
from polytask.prepare.window import ViewWindow, find_view_frame, make_view_window
from polytask.tasks.target import Target

PLACE_JITTER = 0.25
"""Largest shift of a place from a known structure in training, along each axis, as a share of the crop."""


@dataclass(frozen=True)
class DrawnImage:
    """One image of one visit, with all that was drawn at random for it.

    Args:
        name: the image input.
        slot: of the visit.
        case: the stored case, which has the masks.
        prepared: the arrays of the image.
        known: for each channel, whether it is there and was not dropped.
        geometry: drawn for the subject.
        intensity: drawn for this image; None = unchanged.
        key: of its random numbers.
        order: of its channels, where a flip made paired ones change places; else ().
    """

    name: str
    slot: int
    case: StoredCase
    prepared: PreparedImage
    known: tuple[bool, ...]
    geometry: GeometryDraw
    intensity: IntensityDraw | None
    key: tuple[object, ...]
    order: tuple[int, ...] = ()


def make_whole_views(
    images: Sequence[DrawnImage], name: str, schema: BatchSchema, targets: dict[str, Target]
) -> Tensor:
    """Make the whole views `[V, C, *view]` of an input, as large as `find_view_frame` says.

    The voxel targets of an input that has no patches are added to `targets`.
    """
    plan = schema.images[name]
    both = plan.field == "both"
    spacing = plan.view_spacing if both and plan.view_spacing is not None else plan.spacing
    tasks = [] if both else [n for n, t in schema.voxel.items() if t.image == name]
    arrays = [image.prepared.whole if both else image.prepared.image for image in images]
    frame = find_view_frame(plan, [array.shape[1:] for array in arrays if array is not None])
    targets |= {n: make_empty_target(schema.voxel[n], (schema.slots,), frame) for n in tasks}
    views = torch.zeros((schema.slots, schema.input_planes[name], *frame))
    for image, array in zip(images, arrays, strict=True):
        assert array is not None
        key = (*image.key, "whole")
        center = _draw_view_center(array.shape[1:], frame, key) if image.intensity is not None else None
        window = make_view_window(image.geometry, array.shape[1:], spacing, frame, center)
        views[image.slot] = _render_view(image, array, window, schema, key)
        for task in tasks:
            _fill_target(targets[task], image, window, task, schema, ())
    return views


def make_patch_views(
    images: Sequence[DrawnImage], name: str, schema: BatchSchema, targets: dict[str, Target]
) -> Tensor:
    """Make the patches `[V, P, C, *patch]` of an input, and add its voxel targets to `targets`."""
    plan = schema.images[name]
    assert plan.patch is not None
    tasks = [n for n, t in schema.voxel.items() if t.image == name]
    lead = (schema.slots, plan.patches)
    targets |= {n: make_empty_target(schema.voxel[n], lead, plan.patch) for n in tasks}
    views = torch.zeros((*lead, schema.input_planes[name], *plan.patch))
    for image in images:
        for number in range(plan.patches):
            key = (*image.key, "patch", number)
            center = _draw_patch_center(image, tasks, plan, make_generator(*key, "centre"))
            window = make_view_window(
                image.geometry, image.prepared.grid.shape, plan.spacing, plan.patch, center
            )
            views[image.slot, number] = _render_view(image, image.prepared.image, window, schema, key)
            for task in tasks:
                _fill_target(targets[task], image, window, task, schema, (number,))
    return views


def make_crop_views(images: Sequence[DrawnImage], name: str, schema: BatchSchema) -> tuple[Tensor, Tensor]:
    """Make the places `[V, G, C, *size]` from which crops are chosen, and which of them are known `[V, G]`.

    Where the whole grid is looked at, the image is moved and changed as a whole and then cut, so that the places cover
    it as they do at prediction. A few places are read one by one.
    """
    plan = schema.images[name]
    size = compute_crop_size(plan)
    tiles: list[Tensor | None] = [None] * schema.slots
    for image in images:
        shape, array = image.prepared.grid.shape, image.prepared.image
        if centers := _draw_crop_centers(image, plan, size):
            crops = []
            for number, center in enumerate(centers):
                window = make_view_window(image.geometry, shape, plan.spacing, size, center)
                crops.append(_render_view(image, array, window, schema, (*image.key, "crop", number)))
            tiles[image.slot] = torch.stack(crops)
        else:
            window = make_view_window(image.geometry, shape, plan.spacing, shape, None)
            full = _render_view(image, array, window, schema, (*image.key, "crops"))
            tiles[image.slot] = cut_tiles(full, list_tile_centers(shape, size), size)
    return stack_tiles(tiles, schema.input_planes[name], size)


def _draw_crop_centers(image: DrawnImage, plan: ImagePlan, size: Sequence[int]) -> list[tuple[int, ...]]:
    """Find the middle voxels of the places that a step looks at; none where it looks at the whole grid.

    The table names them, or the plan's number of places is drawn from the grid. One of these then lies about a known
    structure of the task that chooses crops, as prediction has places on components of the mask. It is shifted at
    random, and the network reads it only if it predicts the structure there, or by chance as any other place.
    """
    assert plan.roi is not None
    if not is_grid(plan):
        return list_named_centers(image.prepared.places, image.prepared.grid.shape)
    centers = list_tile_centers(image.prepared.grid.shape, size)
    if plan.roi.places is None or image.intensity is None:
        return []
    task = plan.roi.task
    points = image.case.points[task] if task and image.case.known(task) else ()
    if len(centers) <= plan.roi.places and not len(points):
        return []
    random = make_generator(*image.key, "places")
    chosen = random.choice(len(centers), min(plan.roi.places, len(centers)), replace=False)
    places = [centers[number] for number in sorted(chosen.tolist())]
    if len(points):
        point = np.asarray(points[int(random.integers(len(points)))])[1:]
        shift = random.uniform(-PLACE_JITTER, PLACE_JITTER, len(size)) * np.asarray(size)
        # Which place it replaces is drawn too: which places are looked at beside it must not depend on the order.
        places[int(random.integers(len(places)))] = tuple(int(v) for v in np.rint(point + shift))
    return places


def _render_view(
    drawn: DrawnImage, array: Array, window: ViewWindow, schema: BatchSchema, key: tuple[object, ...]
) -> Tensor:
    """Render one view `[planes (+ flags), *size]`; only the block of the array under the window is read."""
    plan = schema.images[drawn.name]
    block, statistics = array[(slice(None), *window.block)], drawn.prepared.statistics
    if drawn.order:
        planes = order_mirrored_planes(plan, drawn.order)[: len(statistics)]
        block, statistics = block[planes], tuple(statistics[plane] for plane in planes)
    planes_by_channel = schema.channel_planes[drawn.name]
    rules = schema.fold.normalization[drawn.name]
    values = normalize_planes(block, statistics, drawn.known, planes_by_channel, rules)
    image = window.linear(torch.from_numpy(values))
    if drawn.intensity is not None:
        places = planes_by_channel.values()
        channel_of = [
            channel for channel, place in enumerate(places) for _ in range(place.stop - place.start)
        ]
        image = apply_intensity(image, drawn.intensity, channel_of, make_torch_generator(*key, "noise"))
        # Brightness and noise would make a missing channel look as if it were there.
        for known, place in zip(drawn.known, places, strict=True):
            if not known:
                image[place] = 0
    return torch.from_numpy(append_channel_flags(image.numpy(), drawn.known, plan))


def _fill_target(
    target: Target,
    drawn: DrawnImage,
    window: ViewWindow,
    name: str,
    schema: BatchSchema,
    part: tuple[int, ...],
) -> None:
    """Write value, known and region of one voxel task into the place of the visit (and of the patch)."""
    known = drawn.case.known(name)
    if not any(known):
        return
    task, place = schema.voxel[name], (drawn.slot, *part)
    stored = drawn.case.voxel[name]
    flat = stored.ndim == len(window.block)
    # Copied, because a memory map is read-only.
    cut = np.array(stored[window.block if flat else (slice(None), *window.block)])
    block = torch.from_numpy(cut[None] if flat else cut)
    value = window.linear(block) if task.dose else window.nearest(block)
    mirror = drawn.geometry.flips[find_left_right_axis(drawn.prepared.grid)]
    if mirror and not task.dose:
        value = swap_mirrored_labels(value, task)
    assert target.region is not None
    target.value[place] = value[0] if flat else value
    target.known[drawn.slot] = torch.tensor(swap_mirrored_entries(known, task) if mirror else known)
    regions = drawn.case.region
    if name in regions:
        inside = torch.from_numpy(np.array(regions[name][window.block]))[None]
        # Nothing is known in the padding around an image, so it never belongs to the region.
        target.region[place] = window.nearest(inside)[0].logical_and_(window.inside)
    else:
        target.region[place] = window.inside


def make_empty_target(task: VoxelTaskShape, lead: Sequence[int], size: Sequence[int]) -> Target:
    """Make a voxel target in which nothing is known yet; it is filled in later.

    Args:
        lead: leading axes, `[V]` or `[V, P]`.
        size: space axes of the view.
    """
    shape = tuple(size) if task.exclusive or task.dose else (task.structures, *size)
    return Target(
        value=torch.zeros((*lead, *shape), dtype=torch.float32 if task.dose else torch.uint8),
        known=torch.zeros((lead[0], task.structures), dtype=torch.bool),
        region=torch.zeros((*lead, *size), dtype=torch.bool),
    )


def swap_mirrored_labels(value: Tensor, task: VoxelTaskShape) -> Tensor:
    """Swap the labels of mirrored structures in a uint8 `[1 or K, *space]` that was flipped left to right."""
    if not task.swaps:
        return value
    if task.exclusive:
        # One look-up for all swaps: two replacements in a row would undo each other.
        table = torch.arange(256, dtype=torch.uint8)
        for a, b in task.swaps:
            table[a + 1], table[b + 1] = b + 1, a + 1
        return table[value.int()]
    return value[list(swap_mirrored_entries(range(task.structures), task))]


def swap_mirrored_entries(entries: Sequence[Any], task: VoxelTaskShape) -> list[Any]:
    """Return entries, one per structure, in the order that they have after a left-right flip."""
    order = list(entries)
    for a, b in task.swaps:
        order[a], order[b] = order[b], order[a]
    return order


def find_left_right_axis(grid: Grid) -> int:
    """Find the array axis that runs between the patient's left and right."""
    return int(np.argmax(np.abs(grid.affine[0, : grid.dims])))


def _draw_view_center(
    shape: Sequence[int], view: Sequence[int], key: tuple[object, ...]
) -> tuple[int, ...] | None:
    """Draw where training looks at an image that is larger than the view: anywhere within it, with equal chance.

    None for an image that the view holds: it lies in the middle.
    """
    if all(n <= s for n, s in zip(shape, view, strict=True)):
        return None
    anywhere = make_generator(*key, "window").random(len(view))
    return _place_center(shape, view, anywhere)


def _place_center(shape: Sequence[int], size: Sequence[int], anywhere: Iterable[float]) -> tuple[int, ...]:
    """Return the center of a window of `size` in `shape`; numbers from 0 to 1 say how far along each axis it lies."""
    return tuple(int(a * max(1, n - s + 1)) + s // 2 for a, n, s in zip(anywhere, shape, size, strict=True))


def _draw_patch_center(
    drawn: DrawnImage, tasks: Sequence[str], plan: ImagePlan, random: np.random.Generator
) -> tuple[int, ...]:
    """Draw the center of a patch, in stored voxels.

    The plan's share of patches is centered on a known structure: each task is equally likely, then each of its
    structures, then each of the structure's voxels. The other patches lie anywhere.
    """
    assert plan.patch is not None
    chance, anywhere = random.random(), random.random(len(plan.patch))
    if chance < plan.foreground:
        points = [p for name in tasks if len(p := drawn.case.points[name] if drawn.case.known(name) else ())]
        if points:
            mine = np.asarray(points[int(random.integers(len(points)))])
            structures = np.unique(mine[:, 0])
            mine = mine[mine[:, 0] == structures[int(random.integers(len(structures)))], 1:]
            return tuple(int(v) for v in mine[int(random.integers(len(mine)))])
    return _place_center(drawn.prepared.grid.shape, plan.patch, anywhere.tolist())
