"""One backward pass per task, where a single pass of the sum cannot separate the tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance.leaves import TaskGradients


def compute_task_gradients(
    losses: Mapping[str, Tensor], shared: Sequence[Tensor], private: Mapping[str, Sequence[Parameter]]
) -> list[TaskGradients]:
    """Compute the gradients of each `shared` tensor, by task.

    Parameters that are private to a task receive their gradient on the way. Afterwards the graph between the losses and
    `shared` is gone.
    """
    gradients_by_tensor: list[dict[str, Tensor]] = [{} for _ in shared]
    for place, (task, loss) in enumerate(losses.items(), 1):
        if not loss.requires_grad:
            continue
        own = list(private.get(task, ()))
        # `backward` would add the gradients of all tasks up in the same tensors; `autograd.grad` returns each
        # task's.
        task_gradients = torch.autograd.grad(
            loss, [*shared, *own], retain_graph=place < len(losses), allow_unused=True
        )
        for gradients, gradient in zip(gradients_by_tensor, task_gradients, strict=False):
            if gradient is not None:
                gradients[task] = gradient
        for parameter, gradient in zip(own, task_gradients[len(shared) :], strict=True):
            add_gradient(parameter, gradient)
    return list(gradients_by_tensor)


def add_gradient(parameter: Tensor, gradient: Tensor | None) -> None:
    """Add a gradient to what the parameter already has from other batches."""
    if gradient is not None:
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
