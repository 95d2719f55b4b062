"""No balancing: every task counts once, or with a weight set by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.balance.rule import EMPTY_MEMORY, Array, RuleInput, RuleMemory


@dataclass(frozen=True)
class EqualWeights:
    """Every task counts once: the plain mean of the losses."""

    reads: ClassVar[str] = "nothing"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Give every task the weight 1."""
        return np.ones(len(batch.losses)), memory


@dataclass(frozen=True)
class FixedWeights:
    """Weights set by hand: `training.weights`, 1 where none is given."""

    weights: tuple[float, ...] = ()
    """One for each of the T tasks."""
    reads: ClassVar[str] = "nothing"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Give every task the weight that was set."""
        return np.array(self.weights, np.float64)[batch.present], memory
