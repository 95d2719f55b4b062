"""How a run balances its tasks: the rule, what it remembers, and where in the network gradients are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance import make_rule
from polytask.balance.places import AtFeatures, AtParameters, Place
from polytask.balance.rule import Array, Combines, Memory, Rule
from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.model.roles import JOINT, TRUNK, private
from polytask.plan.plan import Balance, Training


@dataclass
class Balancer:
    """A rule at work on one network.

    Args:
        rule, settings: of the plan. tasks: of the network, in order.
        memory: the rule's; saved with the run.
        weights: of the last step, by position of the task: what stands between two looks of a rule; saved too.
        drift: how far the weights had moved, in the mean, when they were last looked at anew; 0 with `every` 1.
        trunk, joint, own: parameters in front of the cut, behind it and reached by several tasks, and by one.
        per_task: one backward pass of the sum cannot tell the tasks apart.
        seed, steps_per_epoch: for what rules draw, and for those that count epochs.
    """

    rule: Rule
    settings: Balance
    tasks: tuple[str, ...]
    memory: Memory
    weights: Array
    trunk: list[Parameter]
    joint: list[Parameter]
    own: dict[str, list[Parameter]]
    per_task: bool
    seed: int = 0
    steps_per_epoch: int = 1
    drift: float = 0.0

    @classmethod
    def of(cls, network: Network, settings: Training, seed: int = 0) -> Balancer:
        """For a network, before its first step."""
        tasks, balance = tuple(network.tasks), settings.balance
        rule = make_rule(balance.rule, balance.options, [settings.weights.get(t, 1.0) for t in tasks])
        if isinstance(rule, Combines) and balance.every > 1:
            raise PolytaskError(
                f"training.balance.every: {balance.rule!r} has no weights that could stand between two looks; set 1"
            )
        roles = network.roles()
        of_role: dict[str, list[Parameter]] = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                of_role.setdefault(roles[name], []).append(parameter)
        interacts = any(getattr(block, "interacts", False) for _, block in network.blocks.items())
        trunk, joint = of_role.get(TRUNK, []), of_role.get(JOINT, [])
        return cls(
            rule=rule,
            settings=balance,
            tasks=tasks,
            memory=rule.start(len(tasks)),
            weights=np.ones(len(tasks)),
            trunk=trunk,
            joint=joint,
            own={t: of_role.get(private(t), []) for t in tasks},
            per_task=balance.cut == "parameters" or interacts or bool(joint),
            seed=seed,
            steps_per_epoch=settings.steps_per_epoch,
        )

    def place(self) -> Place:
        """Where the gradients of one batch are taken."""
        if self.settings.cut == "parameters":
            return AtParameters([*self.trunk, *self.joint], self.own)
        return AtFeatures(self.per_task, self.joint, self.own)

    def due(self, step: int) -> bool:
        """Whether the rule reads gradients in this step."""
        due = not self.per_task or step % self.settings.every == 0
        return len(self.tasks) > 1 and self.rule.reads == "gradients" and due

    def looks(self, step: int, of: int = 1) -> bool:
        """Whether the log gets to see the gradients of this step; `of`: of so many looks only one."""
        every = self.settings.log_every * of
        return len(self.tasks) > 1 and every > 0 and step % every == 0

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        kept = {"weights": self.weights, "drift": np.array(self.drift)} | {
            f"memory.{name}": v for name, v in self.memory.items()
        }
        return {name: torch.from_numpy(np.array(values)) for name, values in kept.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """What `tensors` gave."""
        self.weights = tensors["weights"].numpy()
        self.drift = float(tensors["drift"]) if "drift" in tensors else 0.0
        self.memory = {name: tensors[f"memory.{name}"].numpy() for name in self.memory}
