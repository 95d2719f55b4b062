"""What a balancing rule is: it turns the tasks' losses and gradients into one weight per task.

Rules are pure: settings go in, weights and a new memory come out. What they remember is plain numbers, so that it is
saved with the run. What they draw comes from a generator made of seed and step, so that all processes draw the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

Array: TypeAlias = npt.NDArray[np.float64]
RuleMemory: TypeAlias = Mapping[str, Array]
"""What a rule remembers between steps, by name. An array about tasks has one entry per task."""
EMPTY_MEMORY: RuleMemory = {}
MIN_POSITIVE_LOSS = 1e-8
"""A loss below this counts as this, so that logarithms and quotients stay finite."""


@dataclass(frozen=True)
class RuleInput:
    """One batch as a rule sees it: of T tasks, K are known in it.

    Args:
        present: positions of the K known tasks among the T, `[K]`.
        losses: `[K]`, about 1 when untrained, never negative.
        gramian: inner products of the tasks' gradients, `[K, K]`; empty for a rule that reads losses only.
        epoch: of the batch.
        draw: random numbers, for rules that need them.
    """

    present: npt.NDArray[np.int64]
    losses: Array
    gramian: Array
    epoch: int = 0
    draw: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @property
    def positive(self) -> Array:
        """The losses, but never quite 0."""
        return np.maximum(self.losses, MIN_POSITIVE_LOSS)


class Rule(Protocol):
    """A frozen dataclass whose fields are the rule's settings. The step is Σ wₖ gₖ / T; `equal` has w = 1.

    A rule may also `combine` gradients element by element (see `CombiningRule`), or `learn` from the effect of the step
    (see `LearningRule`).
    """

    reads: ClassVar[str]
    """`nothing`, `losses`, or `gradients`; with `gradients` the rule needs the Gramian."""

    def start(self, tasks: int) -> RuleMemory:
        """Return what the rule remembers before the first step."""

    def weigh(self, batch: RuleInput, memory: RuleMemory) -> tuple[Array, RuleMemory]:
        """Return the weights `[K]`, and what to remember."""


@runtime_checkable
class LearningRule(Protocol):
    """A rule that reads the losses of the same batch again after the step."""

    def learn(self, batch: RuleInput, after: Array, memory: RuleMemory) -> RuleMemory:
        """Return what to remember; `after` has the losses `[K]` of the same samples once the weights have moved."""


@runtime_checkable
class CombiningRule(Protocol):
    """A rule that works on single elements of the gradients, so that no weight can describe what it does."""

    def combine(self, gradients: list[Tensor], uniform: Tensor) -> Tensor:
        """Combine K gradients of one shared tensor into one; `uniform` holds a draw from [0, 1) for each element."""
