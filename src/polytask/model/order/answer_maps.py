"""What a voxel task gives to the next task of a chain: its answer as a map, and how certain it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form

if TYPE_CHECKING:
    from polytask.model.task_branches import VoxelBranch

UNCERTAINTIES = {
    "none": "the answer alone",
    "entropy": "entropy of the answer's probabilities, 1 where every class is as likely",
    "variance": "variance of the answer over thinned heads (MC dropout with fixed masks; Mehta, TMI 2022)",
}


def count_map_planes(task: Task, uncertainty: str) -> int:
    """Count the planes of `make_answer_map` and of the uncertainty."""
    return task.outputs - int(getattr(task, "exclusive", False)) + int(uncertainty != "none")


def make_answer_map(task: Task, output: Tensor) -> Tensor:
    """Turn a head's output `[N, outputs, *space]` into `[N, K, *space]`.

    The K planes are the probability of each structure, or the value in units of its scale. The background is what is
    left over.
    """
    if find_task_form(task) != "masks":
        return output
    p = task.decode(output)["p"]
    return p[:, 1:] if getattr(task, "exclusive", False) else p


def make_entropy_map(task: Task, output: Tensor) -> Tensor:
    """Compute the entropy of the probabilities, between 0 and 1: `[N, outputs, *space] → [N, 1, *space]`.

    Overlapping structures count each by itself, and the mean over them is returned.
    """
    # At exactly 0 or 1 the entropy would be 0 · −∞ = NaN.
    p = task.decode(output)["p"].clamp(1e-6, 1 - 1e-6)
    if getattr(task, "exclusive", False):
        count = torch.full((), float(p.shape[1]), device=p.device)
        return -(p * p.log()).sum(1, keepdim=True) / count.log()
    bits = -(p * p.log() + (1 - p) * (1 - p).log()) / torch.full((), 2.0, device=p.device).log()
    return bits.mean(1, keepdim=True)


def make_handed_down_map(
    branch: VoxelBranch, name: str, decoded: tuple[Sequence[Tensor], Sequence[Tensor]], stop: bool
) -> Tensor:
    """Make what a task gives to those after it: its answer `[N, K, *space]`, and its uncertainty if the plan asks for
    one. `decoded` is what the branch returned for it; with `stop` no gradient flows back."""
    outputs, maps = decoded
    task, output = branch.tasks[name], outputs[0].detach() if stop else outputs[0]
    parts = [make_answer_map(task, output)]
    if branch.uncertainty == "entropy":
        parts.append(make_entropy_map(task, output))
    if branch.uncertainty == "variance":
        parts.append(branch.heads[name].variance(maps[0]))
    return torch.cat([p.to(parts[0].dtype) for p in parts], 1)
