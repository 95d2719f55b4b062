"""The two places where the tasks' gradients are taken: the shared features, or the shared parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance.backward_passes import add_gradient, compute_task_gradients
from polytask.balance.leaves import CutLeaves, TaskGradients
from polytask.errors import PolytaskError
from polytask.model.building_blocks import TaskCut, no_cut

PrivateParameters = Mapping[str, Sequence[Parameter]]
"""Task → the parameters that only its loss reaches."""


class GradientSite(Protocol):
    """The place in a forward pass where gradients are gathered by task, and from where they go on once they are
    weighed."""

    additive: ClassVar[bool]
    """Whether the Gramian of all processes is the sum of theirs: features of different samples are orthogonal."""
    cut: TaskCut
    """The cut that the network is run with."""

    def gather(self, losses: Mapping[str, Tensor]) -> list[TaskGradients]:
        """Gather the gradients of each shared tensor by task. Private parameters then
        have their own plain gradients."""

    def measured(self, gradients: list[TaskGradients]) -> list[TaskGradients]:
        """Select those gradients from which the Gramian is made."""

    def release(self, whole: Sequence[Tensor | None]) -> None:
        """Pass one gradient for each of the gathered tensors on to the parameters."""


class FeatureSite:
    """Takes gradients in leaves behind the shared features. One more backward pass takes them through the trunk.

    Without joint parameters one pass of the sum leaves every task's gradient in its leaves. With them it takes a pass
    per task; joint parameters lie behind the cut and are weighed along.
    """

    additive: ClassVar[bool] = True

    def __init__(self, per_task: bool, joint: Sequence[Parameter], own: PrivateParameters):
        self.per_task, self.joint, self.own = per_task, list(joint), own
        self.leaves = CutLeaves(apart=not per_task)
        self.cut: TaskCut = self.leaves

    def gather(self, losses: Mapping[str, Tensor]) -> list[TaskGradients]:
        """Gather the gradients at the leaves, and those of the joint parameters."""
        if not self.leaves.leaves:
            raise PolytaskError(
                "training.balance.cut: features: this sharing has no features in common; choose --cut parameters, or "
                "--balance equal"
            )
        if self.per_task:
            return compute_task_gradients(losses, [*self.leaves.single, *self.joint], self.own)
        total = torch.stack(list(losses.values())).sum()
        if total.requires_grad:
            total.backward()
        return self.leaves.gathered()

    def measured(self, gradients: list[TaskGradients]) -> list[TaskGradients]:
        """Select the gradients of the features, without those of joint parameters."""
        return gradients[: len(self.leaves.shared)]

    def release(self, whole: Sequence[Tensor | None]) -> None:
        """Run the weighed gradients through the trunk, and add those of joint parameters."""
        shared = self.leaves.shared
        onward = [(s, g) for s, g in zip(shared, whole, strict=False) if g is not None]
        torch.autograd.backward([s for s, _ in onward], [g for _, g in onward])
        for parameter, gradient in zip(self.joint, whole[len(shared) :], strict=False):
            add_gradient(parameter, gradient)

    def carry_to_trunk(
        self, feature_gradients: Sequence[TaskGradients], trunk: Sequence[Parameter], tasks: Sequence[str]
    ) -> list[TaskGradients]:
        """Compute the same gradients at the parameters before the cut: one pass through the trunk per task."""
        by_parameter: list[dict[str, Tensor]] = [{} for _ in trunk]
        for task in tasks:
            onward = [
                (s, g[task]) for s, g in zip(self.leaves.shared, feature_gradients, strict=False) if task in g
            ]
            if not onward:
                continue
            outputs, gradients = [s for s, _ in onward], [g for _, g in onward]
            # The graph is kept: `release` still has to go through the trunk once.
            trunk_gradients = torch.autograd.grad(
                outputs, list(trunk), gradients, retain_graph=True, allow_unused=True
            )
            for by_task, gradient in zip(by_parameter, trunk_gradients, strict=True):
                if gradient is not None:
                    by_task[task] = gradient
        return list(by_parameter)


class ParameterSite:
    """Takes gradients without a cut: one pass per task down to every parameter that several tasks reach."""

    additive: ClassVar[bool] = False

    def __init__(self, shared: Sequence[Parameter], own: PrivateParameters):
        self.shared, self.own = list(shared), own
        self.cut: TaskCut = no_cut

    def gather(self, losses: Mapping[str, Tensor]) -> list[TaskGradients]:
        """Gather the gradients of all shared parameters. They are zeros where a task does not reach, so that all
        processes send the same messages."""
        gradients = compute_task_gradients(losses, self.shared, self.own)
        return [
            {t: g[t] if t in g else torch.zeros_like(p) for t in losses}
            for g, p in zip(gradients, self.shared, strict=True)
        ]

    def measured(self, gradients: list[TaskGradients]) -> list[TaskGradients]:
        """Select all gradients for the Gramian."""
        return gradients

    def release(self, whole: Sequence[Tensor | None]) -> None:
        """Add the weighed gradients to the parameters."""
        for parameter, gradient in zip(self.shared, whole, strict=True):
            add_gradient(parameter, gradient)
