"""Read one sample from the store into tensors: normalize, augment, cut into views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from polytask.plan.plan_schema import ImagePlan
from polytask.prepare.bag_tensors import draw_bag_patches, join_padded
from polytask.prepare.batch import Batch
from polytask.prepare.geometry_draw import GeometryDraw, draw_geometry, make_identity_draw
from polytask.prepare.intensity_draw import draw_intensity, drop_channels
from polytask.prepare.sample_table import SampleRow
from polytask.prepare.schema import BatchSchema
from polytask.prepare.seeded_generators import make_generator
from polytask.prepare.store import Store
from polytask.prepare.views import (
    DrawnImage,
    find_left_right_axis,
    make_crop_views,
    make_patch_views,
    make_whole_views,
)
from polytask.prepare.window import find_view_frame, pad_around
from polytask.tasks.target import Target


@dataclass(frozen=True)
class SampleDraw:
    """The key of a sample's random numbers: (seed, epoch, place in the epoch, subject); and whether to augment."""

    key: tuple[object, ...]
    augment: bool


def read_sample(store: Store, row: SampleRow, schema: BatchSchema, draw: SampleDraw) -> Batch:
    """Read a sample as a batch of one.

    Geometry is drawn once for the subject and used for all visits, views, masks, doses and regions. Intensity is drawn
    once per image, patch positions once per visit.
    """
    whole: dict[str, Tensor] = {}
    patch: dict[str, Tensor] = {}
    channel_known: dict[str, Tensor] = {}
    crops: dict[str, tuple[Tensor, Tensor]] = {}
    voxel_targets: dict[str, Target] = {}
    for name, plan in schema.images.items():
        drawn_images = _draw_images(store, row, name, plan, schema, draw)
        channel_known[name] = torch.zeros((schema.slots, len(plan.channels)), dtype=torch.bool)
        for image in drawn_images:
            channel_known[name][image.slot] = torch.tensor(image.known)
        if name in schema.whole:
            whole[name] = make_whole_views(drawn_images, name, schema, voxel_targets)
        if name in schema.patch:
            patch[name] = make_patch_views(drawn_images, name, schema, voxel_targets)
        if name in schema.crops:
            crops[name] = make_crop_views(drawn_images, name, schema)
    targets = row.targets | {n: _add_batch_axis(target) for n, target in voxel_targets.items()}
    bags = {n: _draw_sample_bags(store, row, n, schema, draw) for n in schema.slides}
    return Batch(
        subjects=(row.subject,),
        visits=(row.visits,),
        visit_known=torch.tensor([[key is not None for key in row.keys]]),
        day=row.day,
        whole={n: t[None] for n, t in whole.items()},
        patch={n: t[None] for n, t in patch.items()},
        channel_known={n: t[None] for n, t in channel_known.items()},
        tables={n: values for n, (values, _) in row.tables.items()},
        table_known={n: known for n, (_, known) in row.tables.items()},
        targets={n: targets[n] for n in schema.tasks if n in targets},
        bags={n: b[0][None] for n, b in bags.items()},
        bag_known={n: b[1][None] for n, b in bags.items()},
        crops={n: c[0][None] for n, c in crops.items()},
        crop_known={n: c[1][None] for n, c in crops.items()},
    )


def _draw_sample_bags(
    store: Store, row: SampleRow, name: str, schema: BatchSchema, draw: SampleDraw
) -> tuple[Tensor, Tensor]:
    """Draw the patches of one slide input for this step: patches `[V, P, …]` and which are known `[V, P]`."""
    slides = [None if key is None else store.case(key).bag(name) for key in row.keys]
    shared = schema.plan.shared
    strength = shared.augmentation if draw.augment else None
    return draw_bag_patches(slides, shared.slides[name], strength, (*draw.key, name))


def _add_batch_axis(target: Target) -> Target:
    """Add a leading batch axis of length one to a target."""
    region = None if target.region is None else target.region[None]
    return Target(target.value[None], target.known[None], region)


def _draw_images(
    store: Store, row: SampleRow, name: str, plan: ImagePlan, schema: BatchSchema, draw: SampleDraw
) -> list[DrawnImage]:
    """Find the images of one input that are there, and draw what is random about them."""
    strength = schema.plan.shared.augmentation
    drawn_images = []
    for slot, case_key in enumerate(row.keys):
        stored = None if case_key is None else store.case(case_key)
        prepared = None if stored is None else stored.prepared(name)
        if stored is None or prepared is None:
            continue
        key = (*draw.key, name, slot)
        known, intensity = prepared.channel_known, None
        if draw.augment:
            # Named by what it is for: other draws of this image cannot shift these numbers.
            random = make_generator(*key, "intensity")
            intensity = draw_intensity(random, strength, len(plan.channels))
            known = drop_channels(random, known, plan.channel_dropout)
        drawn_images.append(
            DrawnImage(name, slot, stored, prepared, known, make_identity_draw(plan.dims), intensity, key)
        )
    if not draw.augment or not drawn_images:
        return drawn_images
    # One geometry for all visits: the largest image sets how far, in mm, it may shift and where its lattice ends.
    sizes = [np.asarray(image.prepared.grid.shape) * np.asarray(plan.spacing) for image in drawn_images]
    random = make_generator(*draw.key, "geometry", plan.dims)
    geometry = draw_geometry(random, strength, np.max(sizes, axis=0).tolist(), plan.spacing)
    order = schema.channel_orders.get(name, ())
    return [_apply_subject_geometry(image, geometry, order) for image in drawn_images]


def _apply_subject_geometry(image: DrawnImage, geometry: GeometryDraw, order: tuple[int, ...]) -> DrawnImage:
    """Give an image the subject's geometry; where it flips left and right, paired channels change places."""
    if not order or not geometry.flips[find_left_right_axis(image.prepared.grid)]:
        return replace(image, geometry=geometry)
    known = tuple(image.known[channel] for channel in order)
    return replace(image, geometry=geometry, known=known, order=order)


def find_sample_frames(store: Store, row: SampleRow, schema: BatchSchema) -> dict[str, tuple[int, ...]]:
    """Find the sizes of the views that `read_sample` makes of a sample, for the inputs that are padded to the batch."""
    frames = {}
    for name in schema.padded:
        plan = schema.images[name]
        prepared = [store.case(key).prepared(name) for key in row.keys if key is not None]
        grids = [p.whole_grid if plan.field == "both" else p.grid for p in prepared if p is not None]
        frames[name] = find_view_frame(plan, [grid.shape for grid in grids if grid is not None])
    return frames


def pad_whole_views(
    batches: Sequence[Batch], others: Sequence[Mapping[str, Sequence[int]]], schema: BatchSchema
) -> list[Batch]:
    """Pad the whole views of samples, and the targets beside them, to the largest one, input by input.

    Each sample was drawn in a frame of its own, so that what was drawn does not depend on the samples beside it.

    Args:
        batches: the samples of this process.
        others: sizes of the views of the samples that other processes read: all of them pad alike.
        schema: says which inputs are padded.
    """
    sizes = {
        name: [max(column) for column in zip(*own, *(frames[name] for frames in others), strict=True)]
        for name in schema.padded
        if (own := [batch.whole[name].shape[3:] for batch in batches])
    }
    size_by_task = {
        task: sizes[shape.image]
        for task, shape in schema.voxel.items()
        if shape.image in sizes and schema.images[shape.image].field == "whole"
    }
    return [
        replace(
            batch,
            whole=batch.whole | {name: pad_around(batch.whole[name], size) for name, size in sizes.items()},
            targets=batch.targets
            | {task: _pad_target(batch.targets[task], size) for task, size in size_by_task.items()},
        )
        for batch in batches
    ]


def _pad_target(target: Target, size: Sequence[int]) -> Target:
    """Pad a voxel target with places of which nothing is known, so that they lie outside the region."""
    assert target.region is not None
    return Target(pad_around(target.value, size), target.known, pad_around(target.region, size))


def join_batches(batches: list[Batch]) -> Batch:
    """Join batches into one along the batch axis of every tensor."""

    def joined(name: str) -> dict[str, Tensor]:
        return {n: torch.cat([getattr(b, name)[n] for b in batches]) for n in getattr(batches[0], name)}

    def target(name: str) -> Target:
        parts = [b.targets[name] for b in batches]
        regions = [t.region for t in parts if t.region is not None]
        value, known = torch.cat([t.value for t in parts]), torch.cat([t.known for t in parts])
        return Target(value, known, torch.cat(regions) if regions else None)

    return Batch(
        subjects=tuple(s for b in batches for s in b.subjects),
        visits=tuple(v for b in batches for v in b.visits),
        visit_known=torch.cat([b.visit_known for b in batches]),
        day=torch.cat([b.day for b in batches]),
        whole=joined("whole"),
        patch=joined("patch"),
        channel_known=joined("channel_known"),
        tables=joined("tables"),
        table_known=joined("table_known"),
        targets={name: target(name) for name in batches[0].targets},
        bags={n: join_padded([b.bags[n] for b in batches]) for n in batches[0].bags},
        bag_known={n: join_padded([b.bag_known[n] for b in batches]) for n in batches[0].bag_known},
        crops={n: join_padded([b.crops[n] for b in batches]) for n in batches[0].crops},
        crop_known={n: join_padded([b.crop_known[n] for b in batches]) for n in batches[0].crop_known},
    )
