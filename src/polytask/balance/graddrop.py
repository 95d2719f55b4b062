"""GradDrop: the one rule that works on each element of a gradient by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from polytask.balance.rule import EMPTY_MEMORY, Array, RuleInput, RuleMemory


@dataclass(frozen=True)
class GradDrop:
    """Each element keeps the gradients of one sign, drawn by its share (GradDrop; Chen, NeurIPS 2020)."""

    reads: ClassVar[str] = "gradients"

    def start(self, tasks: int) -> RuleMemory:
        """Remember nothing from step to step."""
        return EMPTY_MEMORY

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Give every task the weight 1: what `combine` does is not a weight."""
        return np.ones(len(batch.losses)), memory

    def combine(self, gradients: list[Tensor], uniform: Tensor) -> Tensor:
        """Sum the gradients of the drawn sign. Positive is drawn with probability (1 + Σg / Σ|g|) / 2."""
        total, size = torch.zeros_like(uniform), torch.zeros_like(uniform)
        for gradient in gradients:
            total += gradient
            size += gradient.abs()
        # The comparison without a quotient has no 0 / 0 where all gradients are 0.
        positive = uniform * 2 * size < size + total
        step = torch.zeros_like(uniform)
        for gradient in gradients:
            step += torch.where((gradient > 0) == positive, gradient, 0)
        return step
