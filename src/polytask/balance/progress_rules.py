"""Rules that compare how fast the losses fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.balance.adam import start_adam, step_adam
from polytask.balance.epoch_means import add_batch_losses, read_past_means, roll_epoch, softmax, start_history
from polytask.balance.rule import MIN_POSITIVE_LOSS, Array, RuleInput, RuleMemory


@dataclass(frozen=True)
class DynamicWeightAverage:
    """More weight to tasks whose loss fell least between the last two epochs (DWA; Liu, CVPR 2019)."""

    temperature: float = 2.0
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Start without the mean losses of an epoch."""
        return start_history(tasks, 2)

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by K · softmax(r / temperature), r its last epoch / the one before; 1 in the first two."""
        memory = roll_epoch(memory, batch)
        ratio = read_past_means(memory, batch, 1) / np.maximum(
            read_past_means(memory, batch, 2), MIN_POSITIVE_LOSS
        )
        ratio = np.where(np.isfinite(ratio), ratio, 1.0)
        return len(ratio) * softmax(ratio / self.temperature), add_batch_losses(memory, batch)


@dataclass(frozen=True)
class GradNorm:
    """Learned weights that bring the gradients' norms to one pace of training (GradNorm; Chen, ICML 2018).

    The norms are taken at the cut. The first epoch has equal weights, and its mean losses are what progress is measured
    from.
    """

    alpha: float = 1.5
    rate: float = 0.025
    reads: ClassVar[str] = "gradients"

    def start(self, tasks: int) -> RuleMemory:
        """Start with equal weights and without the mean losses of an epoch."""
        return {**start_adam(tasks), **start_history(tasks, 1)}

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by K · softmax(v). v follows the gradient of Σ |wₖ‖gₖ‖ −
        target|, with the target held fixed."""
        if np.isnan(memory["past"]).any():
            # Only the first mean of each task is kept: later epochs must not move the reference.
            first = memory["past"]
            memory = roll_epoch(memory, batch)
            memory = {**memory, "past": np.where(np.isnan(first), memory["past"], first)}
        at_first = read_past_means(memory, batch, 1)
        count = len(at_first)
        if np.isnan(at_first).any():
            return np.ones(count), add_batch_losses(memory, batch)
        share = softmax(memory["value"][batch.present])
        norms = np.sqrt(np.maximum(np.diag(batch.gramian), 0.0))
        weighted = count * share * norms
        progress = batch.positive / np.maximum(at_first, MIN_POSITIVE_LOSS)
        target = weighted.mean() * (progress / progress.mean()) ** self.alpha
        slope = np.sign(weighted - target) * weighted
        numbers = {name: memory[name] for name in start_adam(len(memory["value"]))}
        return count * share, {
            **memory,
            **step_adam(numbers, batch, slope - share * slope.sum(), self.rate),
        }


@dataclass(frozen=True)
class FamoWeights:
    """Weights that let all losses fall at one rate, learned after each step (FAMO; Liu, NeurIPS 2023)."""

    rate: float = 0.025
    decay: float = 1e-3
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Start with an equal share for each task."""
        return start_adam(tasks)

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by K c zₖ / Lₖ, with z = softmax(ξ) and c such that the weights sum to K."""
        quotients = softmax(memory["value"][batch.present]) / batch.positive
        return len(quotients) * quotients / quotients.sum(), memory

    def learn(self, batch: RuleInput, after: Array, memory: RuleMemory) -> RuleMemory:
        """Move ξ down along (∂z/∂ξ)ᵀ (log L before − log L after)."""
        share = softmax(memory["value"][batch.present])
        fallen = np.log(batch.positive) - np.log(np.maximum(after, MIN_POSITIVE_LOSS))
        return step_adam(memory, batch, share * (fallen - share @ fallen), self.rate, self.decay)
