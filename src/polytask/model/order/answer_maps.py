"""What a voxel task gives to the next task of a chain: its answer as a map, and how certain it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from polytask.model.order.monte_carlo import repeat_decoding
from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form

if TYPE_CHECKING:
    from polytask.model.task_branches import VoxelBranch, VoxelPyramid

UNCERTAINTIES = {
    "none": "the answer alone",
    "entropy": "entropy of the answer's probabilities, 1 where every class is as likely",
    "variance": "variance of the answer over passes; without passes over thinned heads (fixed masks of MC dropout)",
}


def count_map_planes(task: Task, uncertainty: str) -> int:
    """Count the planes of `make_answer_map` and of the uncertainty."""
    values = task.outputs - int(getattr(task, "exclusive", False)) if find_task_form(task) == "masks" else 1
    return values + int(uncertainty != "none")


def make_answer_map(task: Task, output: Tensor) -> Tensor:
    """Turn a head's output `[N, outputs, *space]` into `[N, K, *space]`.

    The K planes are the probability of each structure, or the value in units of its scale. The background is what is
    left over.
    """
    return _drop_background(task, _read_values(task, output))


def make_entropy_map(task: Task, output: Tensor) -> Tensor:
    """Compute the entropy of the probabilities, between 0 and 1: `[N, outputs, *space] → [N, 1, *space]`.

    Overlapping structures count each by itself, and the mean over them is returned.
    """
    return _compute_entropy(task, _read_values(task, output))


def make_handed_down_map(
    branch: VoxelBranch,
    name: str,
    decoded: tuple[Sequence[Tensor], Sequence[Tensor]],
    pyramids: tuple[Mapping[str, VoxelPyramid], Mapping[str, VoxelPyramid]],
    stop: bool,
) -> Tensor:
    """Make what a task gives to those after it: its answer `[N, K, *space]`, and its uncertainty if the plan asks for
    one.

    With passes the answer is their mean, and the uncertainty that of the mean (`entropy`) or among them (`variance`).
    The gradient is that of the pass whose output has a loss: on average over the drawn channels that of the mean.

    Args:
        branch: the branches of voxel tasks. name: the task.
        decoded: what the branch returned for the task.
        pyramids: the two arguments of the branch.
        stop: no gradient flows back.
    """
    outputs, maps = decoded
    task, output = branch.tasks[name], outputs[0].detach() if stop else outputs[0]
    values = _read_values(task, output)
    if name in branch.dropouts:
        passes = [_read_values(task, o) for o in repeat_decoding(branch, name, *pyramids)]
        own = values.detach()
        every = torch.stack([own, *passes] if branch.training else passes)
        mean = every.mean(0)
        parts = [_drop_background(task, values + (mean - own))]
        if branch.uncertainty == "entropy":
            parts.append(_compute_entropy(task, mean))
        if branch.uncertainty == "variance":
            # An answer between 0 and 1 has a variance of at most 1/4.
            spread = 4 * every.var(0, correction=0)
            parts.append(_drop_background(task, spread).mean(1, keepdim=True))
    else:
        parts = [_drop_background(task, values)]
        if branch.uncertainty == "entropy":
            parts.append(_compute_entropy(task, values))
        if branch.uncertainty == "variance":
            parts.append(branch.heads[name].variance(maps[0]))
    return torch.cat([p.to(parts[0].dtype) for p in parts], 1)


def _read_values(task: Task, output: Tensor) -> Tensor:
    """Read a head's output: the probabilities of all classes, with the background, or the value without its spread."""
    return task.decode(output)["p"] if find_task_form(task) == "masks" else output[:, :1]


def _drop_background(task: Task, values: Tensor) -> Tensor:
    return values[:, 1:] if getattr(task, "exclusive", False) else values


def _compute_entropy(task: Task, probabilities: Tensor) -> Tensor:
    # At exactly 0 or 1 the entropy would be 0 · −∞ = NaN.
    p = probabilities.clamp(1e-6, 1 - 1e-6)
    if getattr(task, "exclusive", False):
        count = torch.full((), float(p.shape[1]), device=p.device)
        return -(p * p.log()).sum(1, keepdim=True) / count.log()
    bits = -(p * p.log() + (1 - p) * (1 - p).log()) / torch.full((), 2.0, device=p.device).log()
    return bits.mean(1, keepdim=True)
