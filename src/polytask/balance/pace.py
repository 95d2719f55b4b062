"""Rules that compare how fast the losses fall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.balance.adam import learner, learnt
from polytask.balance.means import added, history, past, rolled, softmax
from polytask.balance.rule import SMALLEST, Array, Memory, Seen


@dataclass(frozen=True)
class Dwa:
    """More weight to tasks whose loss fell least between the last two epochs (DWA; Liu, CVPR 2019)."""

    temperature: float = 2.0
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> Memory:
        """Start without the mean losses of an epoch."""
        return history(tasks, 2)

    def weigh(self, seen: Seen, memory: Memory) -> tuple[Array, Memory]:
        """Weigh each task by K · softmax(r / temperature), r its last epoch / the one before; 1 in the first two."""
        memory = rolled(memory, seen)
        ratio = past(memory, seen, 1) / np.maximum(past(memory, seen, 2), SMALLEST)
        ratio = np.where(np.isfinite(ratio), ratio, 1.0)
        return len(ratio) * softmax(ratio / self.temperature), added(memory, seen)


@dataclass(frozen=True)
class GradNorm:
    """Learned weights that bring the gradients' norms to one pace of training (GradNorm; Chen, ICML 2018).

    The norms are taken at the cut. The first epoch has equal weights, and its mean losses are what progress is measured
    from.
    """

    alpha: float = 1.5
    rate: float = 0.025
    reads: ClassVar[str] = "gradients"

    def start(self, tasks: int) -> Memory:
        """Start with equal weights and without the mean losses of an epoch."""
        return {**learner(tasks), **history(tasks, 1)}

    def weigh(self, seen: Seen, memory: Memory) -> tuple[Array, Memory]:
        """Weigh each task by K · softmax(v). v follows the gradient of Σ |wₖ‖gₖ‖ −
        target|, with the target held fixed."""
        if np.isnan(memory["past"]).any():
            # Only the first mean of each task is kept: later epochs must not move the reference.
            first = memory["past"]
            memory = rolled(memory, seen)
            memory = {**memory, "past": np.where(np.isnan(first), memory["past"], first)}
        at_first = past(memory, seen, 1)
        count = len(at_first)
        if np.isnan(at_first).any():
            return np.ones(count), added(memory, seen)
        share = softmax(memory["value"][seen.present])
        norms = np.sqrt(np.maximum(np.diag(seen.gramian), 0.0))
        weighted = count * share * norms
        progress = seen.positive / np.maximum(at_first, SMALLEST)
        target = weighted.mean() * (progress / progress.mean()) ** self.alpha
        slope = np.sign(weighted - target) * weighted
        numbers = {name: memory[name] for name in learner(len(memory["value"]))}
        return count * share, {
            **memory,
            **learnt(numbers, seen, slope - share * slope.sum(), self.rate),
        }


@dataclass(frozen=True)
class Famo:
    """Weights that let all losses fall at one rate, learned after each step (FAMO; Liu, NeurIPS 2023)."""

    rate: float = 0.025
    decay: float = 1e-3
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> Memory:
        """Start with an equal share for each task."""
        return learner(tasks)

    def weigh(self, seen: Seen, memory: Memory) -> tuple[Array, Memory]:
        """Weigh each task by K c zₖ / Lₖ, with z = softmax(ξ) and c such that the weights sum to K."""
        quotients = softmax(memory["value"][seen.present]) / seen.positive
        return len(quotients) * quotients / quotients.sum(), memory

    def learn(self, seen: Seen, after: Array, memory: Memory) -> Memory:
        """Move ξ down along (∂z/∂ξ)ᵀ (log L before − log L after)."""
        share = softmax(memory["value"][seen.present])
        fallen = np.log(seen.positive) - np.log(np.maximum(after, SMALLEST))
        return learnt(memory, seen, share * (fallen - share @ fallen), self.rate, self.decay)
