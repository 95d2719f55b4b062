"""Reads a volume slice by slice: a 2D encoder for all slices, and for each task attention over them (2.5D)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.model.building_blocks import TaskCut, pool_mean_max
from polytask.model.network_inputs import NetworkInputs, restore_visits
from polytask.model.network_settings import NetworkSpec
from polytask.model.source_encoders import Condition, SideOutputs, TokensByTask
from polytask.model.task_branches import Token
from polytask.tasks.task import Task

if TYPE_CHECKING:
    from polytask.model.network import Network

MAX_ATTENTION_HEADS = 4


class SliceAttention(nn.Module):
    """Self-attention over the slices of a volume, and their mean, as in MM-DLS (Wang 2026): a vector and weights.

    `[N, S, features]` → (`[N, width]`, `[N, S]`). The weight of a slice is how much attention it gets from the slices,
    as a mean over these and over heads: the weights sum to 1.
    """

    def __init__(self, features: int, width: int):
        super().__init__()
        self.heads = math.gcd(MAX_ATTENTION_HEADS, width)
        self.project = nn.Sequential(nn.Linear(features, width), nn.LeakyReLU(0.01))
        self.read = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Join the slices of each volume; the shapes are those of the class."""
        vectors: Tensor = self.project(slices)
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.read(vectors).chunk(3, -1)
        )
        scores = (query @ key.transpose(-1, -2)).float() / key.shape[-1] ** 0.5
        attention = scores.softmax(-1)
        attended = (attention.to(value.dtype) @ value).transpose(1, 2).flatten(2)
        return (vectors + self.out(attended)).mean(1), attention.mean((1, 2))


def stack_slices(volumes: Tensor, axis: int) -> Tensor:
    """Turn volumes `[N, C, *space]` into their slices along an axis of space, `[N, S, C, *plane]`."""
    return volumes.movedim(axis + 2, 1)


def make_slice_attentions(spec: NetworkSpec, tasks: Mapping[str, Task]) -> dict[str, SliceAttention]:
    """Make the attention over slices for each pooled task and image that is read slice by slice: `TASK IMAGE`.

    Raises:
        PolytaskError: a voxel task is drawn on such an image; its decoder would not see beyond a slice.
    """
    sliced = list_sliced_images(spec)
    for name, task in tasks.items():
        if task.level == "voxel" and spec.voxel_image[name] in sliced:
            raise PolytaskError(
                f"images.{spec.voxel_image[name]}.trunk: {name!r} is drawn on this image, and slices are read by visit "
                "and subject tasks only; set trunk to null, or leave the task out with --tasks"
            )
    pooled = [name for name, task in tasks.items() if task.level != "voxel"]
    return {
        f"{task} {image}": SliceAttention(2 * spec.images[image].widths[-1], spec.embedding)
        for image in sliced
        for task in pooled
    }


class SlicesRead(NamedTuple):
    """What pooled tasks read of the slices of an image.

    Args:
        tokens: the token of the image, by task.
        weights: `slices.IMAGE` by task, the weight of each slice: `[B·V, S]` of a visit task, `[B, V, S]` of a subject
            task.
    """

    tokens: TokensByTask
    weights: SideOutputs


def read_slices(
    network: Network,
    image: str,
    inputs: NetworkInputs,
    present: Tensor | slice,
    known: Tensor,
    condition: Condition | None,
    cut: TaskCut,
) -> SlicesRead:
    """Read the slices of an image for every pooled task; `known [B, V]` says where the image is."""
    axis = network.spec.images[image].slice_axis
    assert axis is not None
    slices = stack_slices(inputs.whole[image].flatten(0, 1)[present], axis)
    repeated = None if condition is None else condition.repeat(slices.shape[1])
    seen = network.run_view(image, slices.flatten(0, 1), (), network.pooled, repeated, cut)
    tokens: TokensByTask = {}
    side_outputs: SideOutputs = {}
    for task, pyramid in seen.pyramids.items():
        deepest = pyramid[-1]
        assert deepest is not None
        pooled = pool_mean_max(deepest).unflatten(0, slices.shape[:2])
        vector, weights = network.slices[f"{task} {image}"](pooled)
        tokens[task] = {image: Token((restore_visits(vector, present, known.shape),), known)}
        by_visit = restore_visits(weights, present, known.shape)
        subject = network.tasks[task].level == "subject"
        side_outputs[task] = {f"slices.{image}": by_visit if subject else by_visit.flatten(0, 1)}
    return SlicesRead(tokens, side_outputs)


def list_sliced_images(spec: NetworkSpec) -> list[str]:
    """List the images that are read slice by slice."""
    return [name for name, image in spec.images.items() if image.slice_axis is not None]
