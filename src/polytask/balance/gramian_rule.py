"""Turns a function of the Gramian into a rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.balance.rule import EMPTY_MEMORY, Array, RuleInput, RuleMemory


@dataclass(frozen=True)
class GramianRule:
    """Weights computed from the Gramian of the gradients. A task whose gradient is 0 is left out, with weight 1."""

    formula: Callable[[Array, np.random.Generator], Array]
    reads: ClassVar[str] = "gradients"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Apply the formula to those tasks that have a gradient."""
        weights = np.ones(len(batch.losses))
        size = np.diag(batch.gramian)
        moved = np.flatnonzero(size > 0)
        # The formulas divide by the length of each gradient.
        if len(moved) > 1:
            weights[moved] = self.formula(batch.gramian[np.ix_(moved, moved)], batch.draw)
        return weights, memory
