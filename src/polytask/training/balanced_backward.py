"""The backward passes of one step, weighted by a balancing rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import torch
from torch import Tensor

from polytask.balance.gradient_sites import FeatureSite, GradientSite
from polytask.balance.leaves import TaskGradients, compute_gramian, merge_weighted
from polytask.balance.rule import Array, CombiningRule, LearningRule, RuleInput, RuleMemory
from polytask.model.cut import TaskCut, no_cut
from polytask.training.balancing import Balancer
from polytask.training.distributed import World
from polytask.training.gradient_log import GradientSummary, summarize_gradients

CUT_COMPARISON_PERIOD = 10
"""One of so many logged steps also takes the gradients at the parameters, to say how far the two cuts differ."""
NO_GRAMIAN = np.zeros((0, 0))


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
    place: GradientSite | None = None
    weights: list[Array] = field(default_factory=list)
    """Weights of each batch, over all T tasks."""
    seen: list[tuple[Array, Array]] = field(default_factory=list)
    """Gramian and losses of each logged batch, over all T tasks; NaN where a task is absent."""
    apart: float | None = None

    @classmethod
    def of(cls, balancer: Balancer, step: int, world: World) -> BalancedBackward:
        """Start the next step of a balancer."""
        return cls(balancer, step, world, balancer.memory)

    @property
    def reads(self) -> bool:
        """Whether the rule reads gradients in this step."""
        return self.balancer.needs_gradients(self.step)

    @property
    def looks(self) -> bool:
        """Whether the gradients of this step are logged."""
        return self.balancer.looks(self.step)

    @property
    def learns_after_step(self) -> bool:
        """Whether the rule wants the losses after the step too."""
        return len(self.balancer.tasks) > 1 and isinstance(self.balancer.rule, LearningRule)

    def cut(self) -> TaskCut:
        """Return the cut for the next forward pass."""
        self.place = self.balancer.place() if self.reads or self.looks else None
        return self.place.cut if self.place else no_cut

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
        if isinstance(self.place, FeatureSite) and not self.reads and not self.place.leaves.leaves:
            self.place = None  # nothing is shared in front of a cut: there is nothing to look at
        names = self.balancer.tasks
        present = np.array([names.index(t) for t in tasks], np.int64)
        scale = np.array([ratio[t] for t in tasks])
        values = np.ones(len(tasks))
        if self.place is not None or self.balancer.rule.reads != "nothing":
            means = self.world.total(torch.stack([losses[t].detach() for t in tasks]).float())
            values = means.cpu().double().numpy() * scale
        epoch = self.step // self.balancer.steps_per_epoch
        # A generator made anew from seed, step and batch: a resumed run draws the same.
        draw = np.random.default_rng([self.balancer.seed, self.step, len(self.weights)])
        seen = RuleInput(present, values, NO_GRAMIAN, epoch, draw)
        weights = np.maximum(self.balancer.weights[present], 0.0)  # a head must not climb its own loss
        if self.balancer.rule.reads != "gradients":
            weights = self._weights(seen)
        heads = np.ones(len(tasks)) if self.reads else weights
        parts = {t: losses[t] * (w / len(names)) for t, w in zip(tasks, heads.tolist(), strict=True)}
        if self.place is None:
            total = torch.stack(list(parts.values())).sum()
            if total.requires_grad:
                total.backward()
        else:
            weights = self._weigh_gathered(self.place, parts, seen, scale, weights)
        # NaN marks absent tasks: their old weight stays when the step counts.
        spread = np.full(len(names), np.nan)
        spread[present] = weights
        self.weights.append(spread)

    def after(self, before: Mapping[str, float], after: Mapping[str, float]) -> None:
        """Give the losses of the step's samples before and after it to a rule that learns from the difference."""
        rule, tasks = self.balancer.rule, list(before)
        assert isinstance(rule, LearningRule)
        if not np.isfinite([*before.values(), *after.values()]).all():
            return
        present = np.array([self.balancer.tasks.index(t) for t in tasks], np.int64)
        seen = RuleInput(present, np.array([before[t] for t in tasks]), NO_GRAMIAN)
        self.memory = rule.learn(seen, np.array([after[t] for t in tasks]), self.memory)

    def commit_step(self) -> GradientSummary | None:
        """Keep what the rule remembers, now that the step counts. Returns a summary of the gradients for the log."""
        of = self.balancer
        of.memory = self.memory
        for weights in self.weights:
            new = np.where(np.isfinite(weights), weights, of.weights)
            if self.reads and of.settings.every > 1 and self.step:
                of.drift = float(np.abs(new - of.weights).mean())
            of.weights = new
        if not self.seen:
            return None
        found = summarize_gradients(of.tasks, self.seen, self.weights, self.apart)
        return found | {"drift": of.drift} if of.settings.every > 1 else found

    def _weights(self, seen: RuleInput) -> Array:
        """Ask the rule for weights. They are 1 for a single task, and where a number is not finite: that step is
        skipped."""
        finite = np.isfinite(seen.losses).all() and np.isfinite(seen.gramian).all()
        if len(self.balancer.tasks) == 1 or not finite:
            return np.ones(len(seen.losses))
        weights, self.memory = self.balancer.rule.weigh(seen, self.memory)
        return weights

    def _weigh_gathered(
        self, place: GradientSite, parts: Mapping[str, Tensor], seen: RuleInput, scale: Array, weights: Array
    ) -> Array:
        """Gather the gradients, weigh them, and pass them on to the trunk; returns the weights."""
        tasks, total = list(parts), len(self.balancer.tasks)
        found = place.gather(parts)
        # The losses were divided by the counts of the step and by T; both are undone, so that a rule sees
        # gradients of the batch's own means.
        inner = self._sum_gramian(place, found, tasks) * np.outer(scale, scale) * total**2
        if self.reads:
            # Every process has the same Gramian and the same draw, so that all find the same weights.
            asked = RuleInput(seen.present, seen.losses, inner, seen.epoch, seen.draw)
            weights = self._weights(asked)
            first = not self.weights and self.balancer.looks(self.step, CUT_COMPARISON_PERIOD)
            if first and isinstance(place, FeatureSite) and not isinstance(self.balancer.rule, CombiningRule):
                trunk = compute_gramian(place.carry_to_trunk(found, self.balancer.trunk, tasks), tasks)
                self.apart = self._compare_cuts(
                    asked, weights, trunk.cpu().double().numpy() * np.outer(scale, scale)
                )
        onward = weights if self.reads else np.ones(len(tasks))
        place.release(
            self._merge_task_gradients(place, found, dict(zip(tasks, onward.tolist(), strict=True)))
        )
        if self.looks:
            # Unless the rule reads gradients now, the losses were weighted before the pass: the log shows
            # them unweighted.
            mine = np.ones(len(tasks)) if self.reads else np.where(weights > 0, weights, np.nan)
            gram, losses = np.full((total, total), np.nan), np.full(total, np.nan)
            gram[np.ix_(seen.present, seen.present)] = inner / np.outer(mine, mine)
            losses[seen.present] = seen.losses
            self.seen.append((gram, losses))
        return weights

    def _sum_gramian(self, place: GradientSite, found: list[TaskGradients], tasks: list[str]) -> Array:
        """Compute the Gramian of the gradients of all processes."""
        measured = place.measured(found)
        if self.world.size > 1 and not place.additive:
            return compute_gramian(self._sum_over_processes(measured), tasks).cpu().double().numpy()
        return self.world.total(compute_gramian(measured, tasks).to(self.world.device)).cpu().double().numpy()

    def _sum_over_processes(self, found: list[TaskGradients]) -> list[TaskGradients]:
        """Sum the gradients over all processes."""
        return [{t: self.world.total(g) for t, g in one.items()} for one in found]

    def _merge_task_gradients(
        self, place: GradientSite, found: list[TaskGradients], weights: Mapping[str, float]
    ) -> list[Tensor | None]:
        """Merge the tasks' gradients to one for each shared tensor; those of parameters are summed over processes
        afterwards.

        Weights do not depend on that order. A rule that combines element by element does: at parameters it needs the
        gradients of all processes together. At features other processes have other samples, which are other elements
        with other draws.
        """
        rule = self.balancer.rule if self.reads else None
        if not isinstance(rule, CombiningRule):
            return [merge_weighted(one, weights, rule, None) for one in found]
        rank = self.world.rank if place.additive else 0
        draw = np.random.default_rng([self.balancer.seed, self.step, len(self.weights), 1, rank])
        generator = torch.Generator(self.world.device).manual_seed(int(draw.integers(2**62)))
        if self.world.size == 1 or place.additive:
            return [merge_weighted(one, weights, rule, generator) for one in found]
        whole = (merge_weighted(one, weights, rule, generator) for one in self._sum_over_processes(found))
        # All processes hold the same sum already and will be summed once more.
        return [None if gradient is None else gradient / self.world.size for gradient in whole]

    def _compare_cuts(self, seen: RuleInput, weights: Array, trunk: Array) -> float | None:
        """Compute the cosine between the trunk's steps under the two cuts, on the samples of this process.

        `trunk` is the Gramian at the parameters.
        """
        if not np.isfinite(trunk).all():
            return None
        draw = np.random.default_rng([self.balancer.seed, self.step, len(self.weights)])
        other, _ = self.balancer.rule.weigh(
            RuleInput(seen.present, seen.losses, trunk, seen.epoch, draw), self.memory
        )
        length = sqrt(max(float((weights @ trunk @ weights) * (other @ trunk @ other)), 0.0))
        return float(weights @ trunk @ other) / length if length > 0 else None
