"""Makes the tokens of an image: its maps, the regions that voxel tasks found in it, and their coarse logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import Tensor

from polytask.model.network_inputs import restore_visits
from polytask.model.task_branches import Token, upstream_source
from polytask.model.vector_encoders import TokensByTask

if TYPE_CHECKING:
    from polytask.model.network import Network
    from polytask.model.order.chain import Chain

TaskOutput = Tensor | list[Tensor]
Pyramid = list[Tensor | None]


class ViewResult(NamedTuple):
    """What tasks compute of one view, by task.

    Args:
        outputs: of voxel tasks. pyramids: of pooled tasks.
        maps: what upstream voxel tasks hand down. coarse: their coarse logits, where a task reads these.
    """

    outputs: dict[str, TaskOutput]
    pyramids: dict[str, Pyramid]
    maps: dict[str, Tensor]
    coarse: dict[str, Tensor]


def describe_map_sources(chain: Chain, task: str) -> dict[str, tuple[int, list[int]]]:
    """Describe what a pooled task reads as maps: source → its dims and the channels of each level, finest first.

    These are the images, and the coarse logits of upstream tasks.
    """
    described: dict[str, tuple[int, list[int]]] = {}
    for name, image in chain.spec.images.items():
        if image.slice_axis is not None:
            continue
        subject = chain.tasks[task].level == "subject"
        levels = chain.list_visit_levels(name) if subject else [-1]
        described[name] = (image.dims, [image.widths[level] for level in levels])
    for upstream in chain.compared_tasks[task]:
        dims = chain.spec.images[chain.spec.voxel_image[upstream]].dims
        described[upstream_source(upstream)] = (dims, [chain.tasks[upstream].outputs])
    return described


def make_image_tokens(
    network: Network, image: str, seen: ViewResult, present: Tensor | slice, known: Tensor
) -> TokensByTask:
    """Make the tokens of an image for every pooled task that read the view; `known [B, V]` says where the image is."""
    tokens: TokensByTask = {}
    chain = network.chain
    for task, pyramid in seen.pyramids.items():
        subject = network.tasks[task].level == "subject"
        levels = chain.list_visit_levels(image) if subject else [len(pyramid) - 1]
        maps = [m for level in levels if (m := pyramid[level]) is not None]
        tokens[task] = {image: Token(tuple(restore_visits(m, present, known.shape) for m in maps), known)}
        for upstream in chain.gated_tasks[task]:
            if upstream in seen.maps:
                gate = network.gates[f"{task} {upstream}"]
                token = gate(seen.maps[upstream], [f for f in pyramid if f is not None])
                tokens[task][upstream_source(upstream)] = Token(
                    (restore_visits(token, present, known.shape),), known
                )
        for upstream in chain.compared_tasks[task]:
            if upstream in seen.coarse:
                logits = restore_visits(seen.coarse[upstream], present, known.shape)
                tokens[task][upstream_source(upstream)] = Token((logits,), known)
    return tokens
