"""Rules that are a formula of the losses: the weight of a task is the derivative of the formula by its loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.balance.epoch_means import add_batch_losses, read_past_means, roll_epoch, softmax, start_history
from polytask.balance.rule import EMPTY_MEMORY, MIN_POSITIVE_LOSS, Array, RuleInput, RuleMemory


@dataclass(frozen=True)
class RandomLossWeights:
    """Weights drawn anew for every step, K · softmax(N(0, I)): what a rule must beat (RLW; Lin, TMLR 2022)."""

    reads: ClassVar[str] = "nothing"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Draw the weights from a softmax of normal numbers."""
        count = len(batch.losses)
        return count * softmax(batch.draw.standard_normal(count)), memory


@dataclass(frozen=True)
class GeometricMeanLoss:
    """The geometric mean of the losses, K (Π Lₖ)^(1/K) (GLS; Chennupati, CVPR workshops 2019)."""

    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by geometric mean / Lₖ."""
        return np.exp(np.log(batch.positive).mean()) / batch.positive, memory


@dataclass(frozen=True)
class ScaleInvariantLoss:
    """The sum of the logarithms, Σ log Lₖ: no loss counts more for its scale (scale-invariant; as in LibMTL)."""

    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by 1 / Lₖ."""
        return 1 / batch.positive, memory


@dataclass(frozen=True)
class SmoothTchebycheff:
    """A smooth maximum of the losses relative to a warm-up (STCH; Lin, ICML 2024).

    `warmup` epochs of Σ log Lₖ; the last one's mean losses are the reference. Then K μ log Σ (Lₖ / reference)^(1/μ).
    """

    mu: float = 1.0
    warmup: int = 4
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Start without the mean losses of an epoch."""
        return start_history(tasks, 1)

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by K softmax(log(Lₖ / reference) / μ) / Lₖ."""
        # After the warm-up the memory no longer moves, so that the reference stays the same.
        if batch.epoch <= self.warmup:
            memory = roll_epoch(memory, batch)
        reference = read_past_means(memory, batch, 1)
        if batch.epoch < self.warmup:
            return 1 / batch.positive, add_batch_losses(memory, batch)
        reference = np.where(
            np.isfinite(reference), reference, batch.positive
        )  # a task first known after the warm-up: its own loss
        progress = np.log(batch.positive / np.maximum(reference, MIN_POSITIVE_LOSS))
        return len(progress) * softmax(progress / self.mu) / batch.positive, memory
