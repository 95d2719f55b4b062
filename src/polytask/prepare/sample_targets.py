"""Make the targets of a sample: values from the table, and empty voxel targets that are filled from the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from polytask.cohort import header
from polytask.cohort.cell_values import pooled_value, voxel_source
from polytask.cohort.cohort import Case, Cohort
from polytask.kinds import find_pooled_kind
from polytask.prepare.schema import VoxelTaskShape
from polytask.tasks.target import Target


def make_pooled_target(cohort: Cohort, name: str, cases: Sequence[Case | None]) -> Target:
    """Make the target of a visit task `[V, …]` or of a subject task `[…]`; 0 where unknown."""
    task = cohort.header.tasks[name]
    assert isinstance(task, header.PooledSpec)
    if task.level == "subject":
        first = next(c for c in cases if c is not None)
        return _make_target_tensors(task, [pooled_value(cohort, (first,), name)], single=True)
    return _make_target_tensors(
        task, [None if c is None else pooled_value(cohort, (c,), name) for c in cases], single=False
    )


def is_known_in_sample(cohort: Cohort, name: str, cases: Sequence[Case | None]) -> bool:
    """Whether a task of any level is known in at least one visit of the sample."""
    if isinstance(cohort.header.tasks[name], header.VoxelSpec):
        sources = [voxel_source(cohort, c, name) for c in cases if c is not None]
        return any(s is not None and any(s.known) for s in sources)
    return bool(make_pooled_target(cohort, name, cases).known.any())


def _make_target_tensors(task: header.PooledSpec, values: Sequence[Any], single: bool) -> Target:
    """Convert the values of a task's visits to tensors; `single` drops the axis of visits."""
    value, known = map(torch.from_numpy, find_pooled_kind(task.kind).make_arrays(task, values))
    return Target(value[0], known[0]) if single else Target(value, known)


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
