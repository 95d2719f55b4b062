"""The learning rate as a pure function of the step and of a schedule that is saved with the state."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from polytask.plan.plan_schema import TrainingPlan


@dataclass(frozen=True)
class Schedule:
    """A warm-up, then a decay to zero over the steps from `start` to `end` (`constant` does not decay).

    `--extend` adds a new cycle after the old end.
    """

    kind: str
    peak: float
    warmup: int
    start: int
    end: int

    @classmethod
    def of(cls, settings: TrainingPlan, steps: int) -> Schedule:
        """Make the planned schedule over a number of steps."""
        # A short training must not be all warm-up.
        return cls(settings.schedule, settings.rate, min(settings.warmup, steps // 5), 0, steps)

    def extended(self, steps: int) -> Schedule:
        """Return a further cycle of `steps` after the end (a warm restart)."""
        return Schedule(self.kind, self.peak, min(self.warmup, steps // 5), self.end, self.end + steps)

    def rate(self, step: int) -> float:
        """Compute the learning rate of a step, counted from 0."""
        at, length = step - self.start, self.end - self.start
        if at < self.warmup:
            return self.peak * (at + 1) / self.warmup
        done = (at - self.warmup) / max(1, length - self.warmup)
        if self.kind == "poly":
            return float(self.peak * (1 - min(done, 1.0)) ** 0.9)
        if self.kind == "cosine":
            return self.peak * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return self.peak

    def as_dict(self) -> dict[str, str | float | int]:
        """Return plain values for `state.json`."""
        return asdict(self)
