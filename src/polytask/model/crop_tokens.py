"""Joins the crops of small findings to a network: one more source of every visit and subject task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from polytask.model.building_blocks import TaskCut
from polytask.model.crop_reader import SURROUNDINGS, CropReader, CropSpec
from polytask.model.network_inputs import (
    NetworkInputs,
    mark_partly_read_rows,
    restore_rows,
    restore_visits,
    take_rows,
)
from polytask.model.network_settings import NetworkSpec
from polytask.model.source_encoders import Condition, TokensByTask
from polytask.model.task_branches import Token
from polytask.tasks.task import Task

if TYPE_CHECKING:
    from polytask.model.network import Network


def list_crop_sources(image: str, crops: CropSpec) -> tuple[str, ...]:
    """List the sources through which a task reads the crops of an image: one, or findings and their surroundings."""
    if crops.surroundings:
        return f"findings of {image}", f"surroundings of {image}"
    return (f"crops of {image}",)


def make_crop_readers(
    spec: NetworkSpec, tasks: Mapping[str, Task], pooled: Sequence[str]
) -> dict[str, CropReader]:
    """Make the readers of small findings, one for each image with crops; none where no task would read them."""
    return {
        name: CropReader(crops, spec.images[name].widths, spec.embedding, pooled, tasks.get(crops.task or ""))
        for name, crops in spec.crops.items()
        if pooled
    }


def make_crop_tokens(
    network: Network,
    image: str,
    inputs: NetworkInputs,
    present: Tensor | slice,
    known: Tensor,
    condition: Condition | None,
    cut: TaskCut,
) -> TokensByTask:
    """Make the token of the crops of an image for every pooled task; `known [B, V]` says where the image is."""

    def find_stage_maps(x: Tensor, count: int, crop_cut: TaskCut) -> dict[str, list[Tensor | None]]:
        # A task behind a second network reads the maps of the voxel tasks before it, here as in the whole view.
        mapped = any(network.chain.mapped_tasks[task, image] for task in network.pooled)
        voxel = network.list_image_tasks(image) if mapped else []
        return network.run_view(image, x, voxel, network.pooled, repeat_rows(count), crop_cut).pyramids

    def answer_voxel_task(x: Tensor, count: int) -> Tensor:
        name = network.spec.crops[image].task
        assert name is not None
        return network.voxel_outputs(image, x, repeat_rows(count))[name][0]

    def repeat_rows(count: int) -> Condition | None:
        return None if condition is None else condition.repeat(count)

    crops, crop_known = (values[image].flatten(0, 1)[present] for values in (inputs.crops, inputs.crop_known))
    rows, count = select_crop_rows(network, inputs), len(crops)
    crops, crop_known = take_rows(crops, rows), take_rows(crop_known, rows)
    condition = condition if condition is None or rows is None else condition.take(rows)
    vectors: dict[str, Tensor] = network.crops[image](
        find_stage_maps, answer_voxel_task, crops, crop_known, cut
    )
    tokens = {
        key: Token((restore_visits(restore_rows(vector, rows, count), present, known.shape),), known)
        for key, vector in vectors.items()
    }
    names = list_crop_sources(image, network.spec.crops[image])
    return {
        task: {
            source: tokens[f"{task}{suffix}"]
            for source, suffix in zip(names, ("", SURROUNDINGS), strict=False)
        }
        for task in network.pooled
    }


def select_crop_rows(network: Network, inputs: NetworkInputs) -> Tensor | None:
    """Select those of the N encoded rows at which some pooled task reads crops; None where these are all.

    Voxel tasks read no crops. Which places are read at a visit depends on all pooled tasks, so that none of them leaves
    out a visit that another one reads.
    """
    slots = [network.partly_read.get(task) for task in network.pooled]
    if any(own is None for own in slots):
        return None
    read = sorted({slot for own in slots for slot in own or ()})
    return mark_partly_read_rows({"crops": read}, inputs, network.unread).get("crops")
