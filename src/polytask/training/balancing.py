"""How a run balances its tasks: the rule and what it remembers, and the backward passes of one step weighted by it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import Parameter

from polytask.balance import make_rule
from polytask.balance.gradient_sites import FeatureSite, GradientSite, ParameterSite
from polytask.balance.leaves import compute_gramian
from polytask.balance.rule import Array, CombiningRule, LearningRule, Rule, RuleInput, RuleMemory
from polytask.errors import PolytaskError
from polytask.model.building_blocks import TaskCut, no_cut
from polytask.model.network import Network
from polytask.model.roles import JOINT, TRUNK, private_role
from polytask.plan.plan_schema import BalancePlan, TrainingPlan
from polytask.training.distributed import World
from polytask.training.gathered_gradients import compare_cuts, merge_task_gradients, sum_gramian
from polytask.training.gradient_log import GradientSummary, summarize_gradients

CUT_COMPARISON_PERIOD = 10
"""Every tenth logged step also takes the gradients at the parameters, to measure how far the two cuts differ."""
NO_GRAMIAN = np.zeros((0, 0))


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
    seed: int
    steps_per_epoch: int
    drift: float = 0.0

    @classmethod
    def of(cls, network: Network, settings: TrainingPlan, seed: int = 0) -> Balancer:
        """Make the balancer of a network, before its first step."""
        tasks, balance = tuple(network.tasks), settings.balance
        rule = make_rule(balance.rule, balance.options, [settings.weights.get(t, 1.0) for t in tasks])
        if isinstance(rule, CombiningRule) and balance.every > 1:
            raise PolytaskError(
                f"training.balance.every: {balance.rule!r} merges gradients element by element and has no weights for "
                "the steps between two readings; set 1"
            )
        roles = network.roles()
        by_role: dict[str, list[Parameter]] = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                by_role.setdefault(roles[name], []).append(parameter)
        interacts = any(getattr(block, "interacts", False) for _, block in network.blocks.items())
        trunk, joint = by_role.get(TRUNK, []), by_role.get(JOINT, [])
        return cls(
            rule=rule,
            settings=balance,
            tasks=tasks,
            memory=rule.start(len(tasks)),
            weights=np.ones(len(tasks)),
            trunk=trunk,
            joint=joint,
            own={t: by_role.get(private_role(t), []) for t in tasks},
            per_task=balance.cut == "parameters" or interacts or bool(joint),
            seed=seed,
            steps_per_epoch=settings.steps_per_epoch,
        )

    def make_gradient_site(self) -> GradientSite:
        """Choose where the gradients of one batch are taken."""
        if self.settings.cut == "parameters":
            return ParameterSite([*self.trunk, *self.joint], self.own)
        return FeatureSite(self.per_task, self.joint, self.own)

    def needs_gradients(self, step: int) -> bool:
        """Whether the rule reads gradients in this step."""
        # Without a pass per task, reading gradients costs little, so `every` does not apply.
        due = not self.per_task or step % self.settings.every == 0
        return len(self.tasks) > 1 and self.rule.reads == "gradients" and due

    def logs_gradients(self, step: int, period: int = 1) -> bool:
        """Whether the gradients of this step are logged. A `period` of 10 asks whether it is a tenth logged step."""
        every = self.settings.log_every * period
        return len(self.tasks) > 1 and every > 0 and step % every == 0

    def make_tensors(self) -> dict[str, Tensor]:
        """Make the tensors that a checkpoint keeps of the balancing."""
        arrays = {"weights": self.weights, "drift": np.array(self.drift)} | {
            f"memory.{name}": v for name, v in self.memory.items()
        }
        return {name: torch.from_numpy(np.array(values)) for name, values in arrays.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore the balancing from what `make_tensors` returned."""
        self.weights = tensors["weights"].numpy()
        # Checkpoints of earlier versions have no drift.
        self.drift = float(tensors["drift"]) if "drift" in tensors else 0.0
        self.memory = {name: tensors[f"memory.{name}"].numpy() for name in self.memory}


@dataclass
class BalancedBackward:
    """Gives a cut to each forward pass, a backward pass to each batch, and what to remember if the step counts.

    A rule that weighs losses multiplies the gradients of the heads too. A rule that weighs gradients leaves each head
    the plain gradient of its own loss, except in the steps between two readings (`training.balance.every`).
    """

    balancer: Balancer
    step: int
    world: World
    memory: RuleMemory
    site: GradientSite | None = None
    weights: list[Array] = field(default_factory=list)
    """Weights of each batch, over all T tasks."""
    logged_batches: list[tuple[Array, Array]] = field(default_factory=list)
    """Gramian and losses of each logged batch, over all T tasks; NaN where a task is absent."""
    cut_cosine: float | None = None
    """Cosine between the trunk's steps under the two cuts, in the steps that compare them."""

    @classmethod
    def of(cls, balancer: Balancer, step: int, world: World) -> BalancedBackward:
        """Start the next step of a balancer."""
        return cls(balancer, step, world, balancer.memory)

    @property
    def reads_gradients(self) -> bool:
        """Whether the rule reads gradients in this step."""
        return self.balancer.needs_gradients(self.step)

    @property
    def logs_gradients(self) -> bool:
        """Whether the gradients of this step are logged."""
        return self.balancer.logs_gradients(self.step)

    @property
    def has_single_pass(self) -> bool:
        """Whether one backward pass of the summed loss gives all gradients of the batch whose cut was made last."""
        return self.site is None

    @property
    def reads_nothing(self) -> bool:
        """Whether this step reads no number of the losses or gradients before it is over."""
        rule = self.balancer.rule.reads if len(self.balancer.tasks) > 1 else "nothing"
        return (
            rule == "nothing" and not self.memory and not self.logs_gradients and not self.learns_after_step
        )

    @property
    def learns_after_step(self) -> bool:
        """Whether the rule wants the losses after the step too."""
        return len(self.balancer.tasks) > 1 and isinstance(self.balancer.rule, LearningRule)

    @property
    def _draw_seed(self) -> list[int]:
        """Seed of the next draw, made of run, step and batch, so that a resumed run draws the same."""
        return [self.balancer.seed, self.step, len(self.weights)]

    def cut(self) -> TaskCut:
        """Return the cut for the next forward pass."""
        self.site = (
            self.balancer.make_gradient_site() if self.reads_gradients or self.logs_gradients else None
        )
        return self.site.cut if self.site else no_cut

    def backward(self, losses: Mapping[str, Tensor], ratio: Mapping[str, float]) -> None:
        """Add the gradients of Σ wₖ Lₖ / T to the parameters.

        Args:
            losses: of the tasks known in the step, each divided by its count over all processes and batches.
            ratio: that count over the count in this batch, so that a rule sees the mean of the batch; 0 where the batch
                has none of the task.
        """
        tasks = [t for t in losses if ratio[t] > 0]
        if not tasks:
            return
        if isinstance(self.site, FeatureSite) and not self.reads_gradients and not self.site.leaves.leaves:
            self.site = None  # nothing is shared in front of a cut: there are no gradients to log
        names = self.balancer.tasks
        present = np.array([names.index(t) for t in tasks], np.int64)
        scale = np.array([ratio[t] for t in tasks])
        values = np.ones(len(tasks))
        if self.site is not None or (self.balancer.rule.reads != "nothing" and len(names) > 1):
            means = self.world.total(torch.stack([losses[t].detach() for t in tasks]).float())
            values = means.cpu().double().numpy() * scale
        epoch = self.step // self.balancer.steps_per_epoch
        draw = np.random.default_rng(self._draw_seed)
        batch = RuleInput(present, values, NO_GRAMIAN, epoch, draw)
        weights = np.maximum(self.balancer.weights[present], 0.0)  # a head must not climb its own loss
        if self.balancer.rule.reads != "gradients":
            weights = self._weights(batch)
        heads = np.ones(len(tasks)) if self.reads_gradients else weights
        parts = {t: losses[t] * (w / len(names)) for t, w in zip(tasks, heads.tolist(), strict=True)}
        if self.site is None:
            total = torch.stack(list(parts.values())).sum()
            if total.requires_grad:
                total.backward()
        else:
            weights = self._weigh_gathered(self.site, parts, batch, scale, weights)
        # NaN marks absent tasks: their old weight stays when the step counts.
        spread = np.full(len(names), np.nan)
        spread[present] = weights
        self.weights.append(spread)

    def learn_from_step(self, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        """Give the losses of the step's samples before and after it to a rule that learns from the difference."""
        rule, tasks = self.balancer.rule, list(before)
        assert isinstance(rule, LearningRule)
        if not np.isfinite([*before.values(), *after.values()]).all():
            return
        present = np.array([self.balancer.tasks.index(t) for t in tasks], np.int64)
        batch = RuleInput(present, np.array([before[t] for t in tasks]), NO_GRAMIAN)
        self.memory = rule.learn(batch, np.array([after[t] for t in tasks]), self.memory)

    def commit_step(self) -> GradientSummary | None:
        """Keep what the rule remembers, now that the step counts. Returns a summary of the gradients for the log."""
        balancer = self.balancer
        balancer.memory = self.memory
        for weights in self.weights:
            new = np.where(np.isfinite(weights), weights, balancer.weights)
            if self.reads_gradients and balancer.settings.every > 1 and self.step:
                balancer.drift = float(np.abs(new - balancer.weights).mean())
            balancer.weights = new
        if not self.logged_batches:
            return None
        summary = summarize_gradients(balancer.tasks, self.logged_batches, self.weights, self.cut_cosine)
        return summary | {"drift": balancer.drift} if balancer.settings.every > 1 else summary

    def _weights(self, batch: RuleInput) -> Array:
        """Ask the rule for weights. They are 1 for a single task, and where a number is not finite: that step is
        skipped."""
        finite = np.isfinite(batch.losses).all() and np.isfinite(batch.gramian).all()
        if len(self.balancer.tasks) == 1 or not finite:
            return np.ones(len(batch.losses))
        weights, self.memory = self.balancer.rule.weigh(batch, self.memory)
        return weights

    def _weigh_gathered(
        self, site: GradientSite, parts: Mapping[str, Tensor], batch: RuleInput, scale: Array, weights: Array
    ) -> Array:
        """Gather the gradients, weigh them, and pass them on to the trunk; returns the weights."""
        tasks, total = list(parts), len(self.balancer.tasks)
        rule, gradients = self.balancer.rule, site.gather(parts)
        # The losses were divided by the counts of the step and by T; both are undone, so that a rule sees
        # gradients of the batch's own means.
        inner = sum_gramian(self.world, site, gradients, tasks) * np.outer(scale, scale) * total**2
        if self.reads_gradients:
            # Every process has the same Gramian and the same draw, so that all find the same weights.
            batch_with_gramian = RuleInput(batch.present, batch.losses, inner, batch.epoch, batch.draw)
            weights = self._weights(batch_with_gramian)
            first = not self.weights and self.balancer.logs_gradients(self.step, CUT_COMPARISON_PERIOD)
            if first and isinstance(site, FeatureSite) and not isinstance(rule, CombiningRule):
                at_trunk = site.carry_to_trunk(gradients, self.balancer.trunk, tasks)
                trunk = compute_gramian(at_trunk, tasks).cpu().double().numpy() * np.outer(scale, scale)
                self.cut_cosine = compare_cuts(
                    rule, self.memory, batch_with_gramian, weights, trunk, self._draw_seed
                )
        onward = weights if self.reads_gradients else np.ones(len(tasks))
        weight_by_task = dict(zip(tasks, onward.tolist(), strict=True))
        merging_rule = rule if self.reads_gradients else None
        site.release(
            merge_task_gradients(self.world, site, gradients, weight_by_task, merging_rule, self._draw_seed)
        )
        if self.logs_gradients:
            # Unless the rule reads gradients now, the losses were weighted before the pass: the log shows
            # them unweighted.
            divisors = np.ones(len(tasks)) if self.reads_gradients else np.where(weights > 0, weights, np.nan)
            gram, losses = np.full((total, total), np.nan), np.full(total, np.nan)
            gram[np.ix_(batch.present, batch.present)] = inner / np.outer(divisors, divisors)
            losses[batch.present] = batch.losses
            self.logged_batches.append((gram, losses))
        return weights
