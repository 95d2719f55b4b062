"""A backward pass per task, where one pass of the sum cannot tell the tasks apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance.leaves import Gradients


def gradients_by(
    losses: Mapping[str, Tensor], shared: Sequence[Tensor], private: Mapping[str, Sequence[Parameter]]
) -> list[Gradients]:
    """Of each of the `shared` tensors by task; parameters private to a task get their gradient on the way.

    Afterwards the graph between losses and `shared` is gone.
    """
    found: list[dict[str, Tensor]] = [{} for _ in shared]
    for place, (task, loss) in enumerate(losses.items(), 1):
        if not loss.requires_grad:
            continue
        own = list(private.get(task, ()))
        given = torch.autograd.grad(
            loss, [*shared, *own], retain_graph=place < len(losses), allow_unused=True
        )
        for gradients, gradient in zip(found, given, strict=False):
            if gradient is not None:
                gradients[task] = gradient
        for parameter, gradient in zip(own, given[len(shared) :], strict=True):
            add_gradient(parameter, gradient)
    return list(found)


def add_gradient(parameter: Tensor, gradient: Tensor | None) -> None:
    """Add to what a parameter already has from other batches."""
    if gradient is not None:
        parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
