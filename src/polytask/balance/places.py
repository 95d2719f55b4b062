"""Where the tasks' gradients are taken: at the shared features, or at the shared parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance.leaves import Gradients, Leaves
from polytask.balance.passes import add_gradient, gradients_by
from polytask.errors import PolytaskError
from polytask.model.cut import Cut, no_cut

Own = Mapping[str, Sequence[Parameter]]


class Place(Protocol):
    """For one forward pass: gradients by task are gathered here, and go on from here once they are weighed."""

    additive: ClassVar[bool]
    """Whether the Gramian of all processes is the sum of theirs: features of different samples are orthogonal."""
    cut: Cut
    """What the network is run with."""

    def gather(self, losses: Mapping[str, Tensor]) -> list[Gradients]:
        """Of each shared tensor by task. Private parameters have their own plain gradients afterwards."""

    def measured(self, found: list[Gradients]) -> list[Gradients]:
        """Those that the Gramian is made of."""

    def release(self, whole: Sequence[Tensor | None]) -> None:
        """One gradient for each of the gathered tensors, into the parameters."""


class AtFeatures:
    """Leaves behind the shared features; one more backward pass takes their gradient through the trunk.

    Without joint parameters one pass of the sum leaves every task's gradient in its leaves; else it takes a pass per
    task, and joint parameters, which lie behind the cut, are weighed along.
    """

    additive: ClassVar[bool] = True

    def __init__(self, per_task: bool, joint: Sequence[Parameter], own: Own):
        self.per_task, self.joint, self.own = per_task, list(joint), own
        self.leaves = Leaves(apart=not per_task)
        self.cut: Cut = self.leaves

    def gather(self, losses: Mapping[str, Tensor]) -> list[Gradients]:
        """See `Place`."""
        if not self.leaves.leaves:
            raise PolytaskError(
                "training.balance.cut: features: this sharing has no features in common; choose --cut parameters, or "
                "--balance equal"
            )
        if self.per_task:
            return gradients_by(losses, [*self.leaves.single, *self.joint], self.own)
        total = torch.stack(list(losses.values())).sum()
        if total.requires_grad:
            total.backward()
        return self.leaves.gathered()

    def measured(self, found: list[Gradients]) -> list[Gradients]:
        """The features'."""
        return found[: len(self.leaves.shared)]

    def release(self, whole: Sequence[Tensor | None]) -> None:
        """See `Place`."""
        shared = self.leaves.shared
        onward = [(s, g) for s, g in zip(shared, whole, strict=False) if g is not None]
        torch.autograd.backward([s for s, _ in onward], [g for _, g in onward])
        for parameter, gradient in zip(self.joint, whole[len(shared) :], strict=False):
            add_gradient(parameter, gradient)

    def through(
        self, found: Sequence[Gradients], trunk: Sequence[Parameter], tasks: Sequence[str]
    ) -> list[Gradients]:
        """The same gradients at the parameters in front of the cut: a pass through the trunk for each task."""
        at: list[dict[str, Tensor]] = [{} for _ in trunk]
        for task in tasks:
            onward = [(s, g[task]) for s, g in zip(self.leaves.shared, found, strict=False) if task in g]
            if not onward:
                continue
            outputs, gradients = [s for s, _ in onward], [g for _, g in onward]
            given = torch.autograd.grad(outputs, list(trunk), gradients, retain_graph=True, allow_unused=True)
            for here, gradient in zip(at, given, strict=True):
                if gradient is not None:
                    here[task] = gradient
        return list(at)


class AtParameters:
    """No cut: a pass per task down to every parameter that several tasks reach."""

    additive: ClassVar[bool] = False

    def __init__(self, shared: Sequence[Parameter], own: Own):
        self.shared, self.own = list(shared), own
        self.cut: Cut = no_cut

    def gather(self, losses: Mapping[str, Tensor]) -> list[Gradients]:
        """See `Place`; zeros where a task does not reach, so that all processes send the same messages."""
        found = gradients_by(losses, self.shared, self.own)
        return [
            {t: g[t] if t in g else torch.zeros_like(p) for t in losses}
            for g, p in zip(found, self.shared, strict=True)
        ]

    def measured(self, found: list[Gradients]) -> list[Gradients]:
        """All."""
        return found

    def release(self, whole: Sequence[Tensor | None]) -> None:
        """See `Place`."""
        for parameter, gradient in zip(self.shared, whole, strict=True):
            add_gradient(parameter, gradient)
