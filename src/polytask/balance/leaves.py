"""Gradients at the cut: a leaf per task behind each shared tensor, so that each task's gradient can be weighed.

A leaf is a tensor without a history: backward passes stop there and leave their gradient in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from polytask.balance.rule import CombiningRule

TaskGradients = Mapping[str, Tensor]
"""Task → gradient of its loss by one shared tensor; a task that does not reach the tensor is absent."""


@dataclass
class CutLeaves:
    """A cut (see `polytask.model.building_blocks`) that keeps the shared tensors and gives out leaves in their place.

    Args:
        apart: True for a leaf per task, so that one backward pass of the sum leaves T gradients in T leaves. False for
            one leaf for all tasks, which needs a pass per task.
    """

    apart: bool = True
    shared: list[Tensor] = field(default_factory=list)
    leaves: list[dict[str, Tensor]] = field(default_factory=list)

    def __call__(self, shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
        """Give each task the leaf that it reads instead of the shared tensor."""
        # Nothing before the cut learns, so no gradient has to come back.
        if not shared.requires_grad:
            return dict.fromkeys(tasks, shared)
        if self.apart:
            leaves = {task: shared.detach().requires_grad_() for task in tasks}
        else:
            leaves = dict.fromkeys(tasks, shared.detach().requires_grad_())
        self.shared.append(shared)
        self.leaves.append(leaves)
        return leaves

    def gathered(self) -> list[TaskGradients]:
        """Return what a backward pass has left in separate leaves, by shared tensor."""
        return [
            {t: leaf.grad for t, leaf in leaves.items() if leaf.grad is not None} for leaves in self.leaves
        ]

    @property
    def single(self) -> list[Tensor]:
        """The one leaf of each shared tensor (when not `apart`)."""
        return [next(iter(leaves.values())) for leaves in self.leaves]


def compute_gramian(gradients: Sequence[TaskGradients], tasks: Sequence[str]) -> Tensor:
    """Compute the inner products of the tasks' gradients over all tensors, `[T, T]` in float32; 0 for a task that
    reaches none."""
    device = next((g.device for by_task in gradients for g in by_task.values()), torch.device("cpu"))
    total = torch.zeros(len(tasks), len(tasks), device=device)
    for by_task in gradients:
        reaching = [i for i, task in enumerate(tasks) if task in by_task]
        flat = {i: by_task[tasks[i]].detach().flatten().float() for i in reaching}
        for place, i in enumerate(reaching):
            for j in reaching[: place + 1]:
                total[i, j] += torch.dot(flat[i], flat[j])
    return total + total.tril(-1).T


def merge_weighted(
    gradients: TaskGradients, weights: Mapping[str, float], rule: object, generator: torch.Generator | None
) -> Tensor | None:
    """Merge the gradients of one tensor into one, weighted; None where no task reaches the tensor."""
    if not gradients:
        return None
    if isinstance(rule, CombiningRule) and len(gradients) > 1:
        like = next(iter(gradients.values()))
        uniform = torch.rand(like.shape, generator=generator, device=like.device)
        return rule.combine([g.float() for g in gradients.values()], uniform).to(like.dtype)
    total: Tensor | None = None
    for task, gradient in gradients.items():
        part = gradient * weights[task]
        # In place: `part` is a new tensor, so no gradient that is still needed is overwritten.
        total = part if total is None else total.add_(part)
    return total
