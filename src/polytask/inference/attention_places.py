"""Says what the attention of a network belongs to: patches of a slide, or slices of a volume as it was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from polytask.inference.sample_batch import select_mirror_axes
from polytask.model.network import Network
from polytask.model.slice_reader import list_sliced_images
from polytask.model.source_encoders import SideOutputs
from polytask.plan.plan_schema import Plan
from polytask.prepare.evaluation_sample import FullSample


def locate_patches(network: Network, sample: FullSample, side_outputs: SideOutputs) -> SideOutputs:
    """Return side outputs that also say where each patch of a slide lies (`places.NAME`, pixels of the finest level)
    beside the attention on it."""
    located: SideOutputs = {}
    for task, by_key in side_outputs.items():
        located[task] = dict(by_key)
        for key in [k for k in by_key if k.startswith("patches.")]:
            name = key.removeprefix("patches.")
            places = torch.zeros((*sample.bag_known[name].shape, 2))
            for slot, coords in enumerate(sample.coords[name]):
                if coords is not None:
                    places[slot, : len(coords)] = torch.from_numpy(np.array(coords, np.float32))
            located[task][f"places.{name}"] = (
                places[None] if network.tasks[task].level == "subject" else places
            )
    return located


def restore_slice_weights(
    network: Network, sample: FullSample, plan: Plan, axes: Sequence[int], side_outputs: SideOutputs
) -> SideOutputs:
    """Return side outputs in which `slices.IMAGE` belongs to the slices of the image as it was read, NaN where the view
    was padded or has no image.

    Args:
        axes: the array axes along which the view was mirrored.
    """
    restored = {task: dict(by_key) for task, by_key in side_outputs.items()}
    for image in list_sliced_images(network.spec):
        axis = network.spec.images[image].slice_axis
        assert axis is not None
        mirrored = axis in select_mirror_axes(plan, image, axes)
        counts = [0 if a is None else a.shape[1 + axis] for a in sample.images[image]]
        for by_key in restored.values():
            by_key[f"slices.{image}"] = place_own_slices(by_key[f"slices.{image}"], counts, mirrored)
    return restored


def place_own_slices(weights: Tensor, counts: Sequence[int], mirrored: bool) -> Tensor:
    """Put weights `[…, V, S]` of a view on the slices of each visit's image, NaN elsewhere.

    An image of `counts[v]` slices lies in the middle of the view, mirrored or not.
    """
    placed = torch.full_like(weights, torch.nan)
    for visit, count in enumerate(counts):
        start = (weights.shape[-1] - count) // 2
        own = weights[..., visit, start : start + count]
        placed[..., visit, start : start + count] = own.flip(-1) if mirrored else own
    return placed
