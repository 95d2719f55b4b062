"""How a run balances its tasks: the rule, what the rule remembers, and where in the network gradients are taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance import make_rule
from polytask.balance.gradient_sites import FeatureSite, GradientSite, ParameterSite
from polytask.balance.rule import Array, CombiningRule, Rule, RuleMemory
from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.plan.plan_schema import BalancePlan, TrainingPlan


@dataclass
class Balancer:
    """A balancing rule in use on one network.

    Args:
        rule, settings: from the plan. tasks: of the network, in order.
        memory: what the rule remembers; saved with the run.
        weights: of the last step, by position of the task. They are used between two readings of the gradients
            (`every`); saved too.
        drift: mean change of the weights at their last update; 0 when `every` is 1.
        trunk, joint, own: parameters before the cut, behind it and reached by several tasks, and behind it and reached
            by one task.
        per_task: True when one backward pass of the summed loss cannot separate the tasks' gradients.
        seed, steps_per_epoch: for rules that draw random numbers, and for rules that count epochs.
    """

    rule: Rule
    settings: BalancePlan
    tasks: tuple[str, ...]
    memory: RuleMemory
    weights: Array
    trunk: list[Parameter]
    joint: list[Parameter]
    own: dict[str, list[Parameter]]
    per_task: bool
    seed: int = 0
    steps_per_epoch: int = 1
    drift: float = 0.0

    @classmethod
    def of(cls, network: Network, settings: TrainingPlan, seed: int = 0) -> Balancer:
        """Make the balancer of a network, before its first step."""
        tasks, balance = tuple(network.tasks), settings.balance
        rule = make_rule(balance.rule, balance.options, [settings.weights.get(t, 1.0) for t in tasks])
        if isinstance(rule, CombiningRule) and balance.every > 1:
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
            own={t: of_role.get(private_role(t), []) for t in tasks},
            per_task=balance.cut == "parameters" or interacts or bool(joint),
            seed=seed,
            steps_per_epoch=settings.steps_per_epoch,
        )

    def place(self) -> GradientSite:
        """Choose where the gradients of one batch are taken."""
        if self.settings.cut == "parameters":
            return ParameterSite([*self.trunk, *self.joint], self.own)
        return FeatureSite(self.per_task, self.joint, self.own)

    def needs_gradients(self, step: int) -> bool:
        """Whether the rule reads gradients in this step."""
        # Without a pass per task, reading gradients costs little, so `every` does not apply.
        due = not self.per_task or step % self.settings.every == 0
        return len(self.tasks) > 1 and self.rule.reads == "gradients" and due

    def looks(self, step: int, of: int = 1) -> bool:
        """Whether the gradients of this step are logged. With `of`, only one of so many logged steps counts."""
        every = self.settings.log_every * of
        return len(self.tasks) > 1 and every > 0 and step % every == 0

    def make_tensors(self) -> dict[str, Tensor]:
        """Make the tensors that a checkpoint keeps of the balancing."""
        kept = {"weights": self.weights, "drift": np.array(self.drift)} | {
            f"memory.{name}": v for name, v in self.memory.items()
        }
        return {name: torch.from_numpy(np.array(values)) for name, values in kept.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the balancing from what `make_tensors` returned."""
        self.weights = tensors["weights"].numpy()
        # Checkpoints of earlier versions have no drift.
        self.drift = float(tensors["drift"]) if "drift" in tensors else 0.0
        self.memory = {name: tensors[f"memory.{name}"].numpy() for name in self.memory}
