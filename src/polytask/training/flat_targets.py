"""Flattens the targets of a batch to the order of the network's outputs."""

from __future__ import annotations

import torch
from torch import Tensor

from polytask.prepare.batch import Batch
from polytask.tasks.target import Target
from polytask.tasks.task import Task


def flatten_target(
    batch: Batch, task: Task, patched: bool = False, structures: str | None = None
) -> tuple[Target, list[str]]:
    """Return the target of a task with one leading axis N, and the id of each item.

    N runs over the known visits of a voxel task (times the patches when it is `patched`), over all visits of a visit
    task, or over subjects. `structures` names the segmentation whose masks a dose loss reads.
    """
    target = batch.targets[task.name]
    if task.level == "subject":
        return target, list(batch.subjects)
    ids = [
        f"{subject}@{visit}" if visit else subject
        for subject, visits in zip(batch.subjects, batch.visits, strict=True)
        for visit in visits
    ]
    if task.level == "visit":
        known = target.known.flatten(0, 1)
        # A padded visit must never count as known, whatever stands in its place.
        seen = batch.visit_known.flatten()
        return Target(target.value.flatten(0, 1), known & seen.view(-1, *[1] * (known.dim() - 1))), ids
    present = batch.visit_known.flatten()
    assert target.region is not None
    known, value, region = (
        _select_known_visits(t, present) for t in (target.known, target.value, target.region)
    )
    names = [i for i, there in zip(ids, present.tolist(), strict=True) if there]
    if patched:
        count = region.shape[1]
        names = [n for n in names for _ in range(count)]
        known, value, region = known.repeat_interleave(count, 0), value.flatten(0, 1), region.flatten(0, 1)
    masks = (
        None if structures is None else unpack_structure_masks(batch.targets[structures], patched)[present]
    )
    if masks is not None and patched:
        masks = masks.flatten(0, 1)
    return Target(value, known, region, masks), names


def _select_known_visits(items: Tensor, present: Tensor) -> Tensor:
    """Select the known visits: `[B, V, …]` → `[N, …]`.

    Full-resolution maps are copied only when a visit is missing.
    """
    flat = items.flatten(0, 1)
    return flat if bool(present.all()) else flat[present]


def unpack_structure_masks(target: Target, patched: bool) -> Tensor:
    """Make bool masks `[B·V(, P), K, *space]` from a segmentation target `[B, V(, P), …]`; unknown structures are
    empty."""
    assert target.region is not None
    value, known = target.value.flatten(0, 1), target.known.flatten(0, 1)
    lead = 1 + patched
    # Exclusive structures share one map of labels; overlapping ones have a plane each.
    if target.value.dim() == target.region.dim():
        labels = torch.arange(1, known.shape[-1] + 1, device=value.device)
        masks = value.unsqueeze(lead) == labels.view(*[1] * lead, -1, *[1] * (value.dim() - lead))
    else:
        masks = value > 0
    flags = known.view(known.shape[0], *[1] * patched, known.shape[1], *[1] * (masks.dim() - lead - 1))
    return masks & flags
