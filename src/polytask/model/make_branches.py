"""Makes the branches of a network's visit and subject tasks: what sources each of them has."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from polytask.model.crop_tokens import list_crop_sources
from polytask.model.network_settings import NetworkSpec
from polytask.model.order.chain import Chain
from polytask.model.slice_reader import list_sliced_images
from polytask.model.task_branches import PooledBranch, upstream_source
from polytask.tasks.task import Task


def make_pooled_branches(
    spec: NetworkSpec,
    tasks: Mapping[str, Task],
    chain: Chain,
    slots: Mapping[str, Sequence[int]],
    crops: Sequence[str],
    levels: Collection[str],
) -> dict[str, PooledBranch]:
    """Make the branch of every visit and subject task.

    Args:
        spec, tasks, chain: of the network.
        slots: subject task → the visit slots that it reads.
        crops: the images whose crops these tasks read.
        levels: the tasks that name a second level.
    """
    return {
        name: PooledBranch(
            task,
            chain.describe_map_sources(name),
            [
                *list_sliced_images(spec),
                *spec.tables,
                *spec.slides,
                *(source for image in crops for source in list_crop_sources(image, spec.crops[image])),
                *map(upstream_source, chain.tokens(name, bool(spec.second_level))),
            ],
            slots.get(name, []),
            spec.embedding,
            spec.dropout,
            spec.visit_fusion,
            spec.input_fusion,
            [upstream_source(up) for up in chain.embedded_tasks[name] if name in levels],
            spec.max_visits if name in spec.history else 0,
        )
        for name, task in tasks.items()
        if task.level != "voxel"
    }
