"""Rules that learn one scale per task along with the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from polytask.balance.adam import start_adam, step_adam
from polytask.balance.rule import Array, RuleInput, RuleMemory

MAX_SCALE_EXPONENT = 20.0
"""Limit of a learned exponent: with a loss that stays at 0 it would grow without end."""


@dataclass(frozen=True)
class UncertaintyWeights:
    """A learned variance per task: Σ Lₖ / (2 exp sₖ) + sₖ / 2 (Kendall, Gal & Cipolla, CVPR 2018).

    It tends to wₖ = 1 / (2 Lₖ), as `imtl_l` tends to 1 / Lₖ: the same rule with another speed and length of step.
    """

    rate: float = 0.01
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Start with a variance of 1 for each task."""
        return start_adam(tasks)

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by 1 / (2 variance)."""
        weights = 0.5 * np.exp(
            -np.clip(memory["value"][batch.present], -MAX_SCALE_EXPONENT, MAX_SCALE_EXPONENT)
        )
        return weights, step_adam(memory, batch, 0.5 - weights * batch.losses, self.rate)


@dataclass(frozen=True)
class ImtlL:
    """A learned scale per task that brings all losses to 1: Σ exp(sₖ) Lₖ − sₖ (IMTL-L; Liu, ICLR 2021)."""

    rate: float = 0.02
    reads: ClassVar[str] = "losses"

    def start(self, tasks: int) -> RuleMemory:
        """Start with a scale of 1 for each task."""
        return start_adam(tasks)

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Weigh each task by its learned scale."""
        weights = np.exp(np.clip(memory["value"][batch.present], -MAX_SCALE_EXPONENT, MAX_SCALE_EXPONENT))
        return weights, step_adam(memory, batch, weights * batch.losses - 1, self.rate)
