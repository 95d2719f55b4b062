"""The learning rate as a pure function of the step and of a schedule that is saved with the state."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

from polytask.plan.plan_schema import TrainingPlan


@dataclass(frozen=True)
class Schedule:
    """A warm-up, then a decay to zero over the steps from `start` to `end` (`constant` does not decay).

    `--extend` adds a new cycle after the old end. When a time budget moves the end, what is left of the decay is spread
    over the steps that are left: the rate goes on from where it is and never rises again.

    Args:
        kind: `poly`, `cosine` or `constant`. peak: the rate after the warm-up.
        warmup: steps of the warm-up.
        start, end: first step, and the step after the last one.
        moved_at, decayed: the last step at which the end was moved, and the part of the decay that was done by then.
    """

    kind: str
    peak: float
    warmup: int
    start: int
    end: int
    moved_at: int = 0
    decayed: float = 0.0

    @classmethod
    def of(cls, settings: TrainingPlan, steps: int) -> Schedule:
        """Make the planned schedule over a number of steps."""
        # A short training must not be all warm-up.
        return cls(settings.schedule, settings.rate, min(settings.warmup, steps // 5), 0, steps)

    def extended(self, steps: int) -> Schedule:
        """Return a further cycle of `steps` after the end (a warm restart)."""
        return Schedule(self.kind, self.peak, min(self.warmup, steps // 5), self.end, self.end + steps)

    def move_end(self, step: int, end: int) -> Schedule:
        """Return the schedule that has another end from this step on; the rate of the step itself stays the same."""
        if end == self.end:
            return self
        return replace(self, end=end, moved_at=step, decayed=self._compute_decay(step))

    def _compute_decay(self, step: int) -> float:
        """Compute which part of the decay is done at a step: 0 until the end of the warm-up, 1 at the end."""
        first = max(self.start + self.warmup, self.moved_at)
        return self.decayed + (1 - self.decayed) * max(0, step - first) / max(1, self.end - first)

    def rate(self, step: int) -> float:
        """Compute the learning rate of a step, counted from 0."""
        at = step - self.start
        if at < self.warmup:
            return self.peak * (at + 1) / self.warmup
        done = self._compute_decay(step)
        if self.kind == "poly":
            return float(self.peak * (1 - min(done, 1.0)) ** 0.9)
        if self.kind == "cosine":
            return self.peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return self.peak

    def as_dict(self) -> dict[str, str | float | int]:
        """Return plain values for `state.json`."""
        return asdict(self)
