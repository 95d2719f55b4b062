"""The learning rate as a pure function of the step and of a schedule that is kept as state."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from polytask.plan.plan import Training


@dataclass(frozen=True)
class Schedule:
    """Warm-up, then a decay to zero over `start … end`. `--extend` appends a new cycle behind the old end."""

    kind: str
    peak: float
    warmup: int
    start: int
    end: int

    @classmethod
    def of(cls, settings: Training, steps: int) -> Schedule:
        """The planned schedule over `steps`."""
        return cls(settings.schedule, settings.rate, min(settings.warmup, steps // 5), 0, steps)

    def extended(self, steps: int) -> Schedule:
        """A further cycle of `steps` behind the end (a warm restart)."""
        return Schedule(self.kind, self.peak, min(self.warmup, steps // 5), self.end, self.end + steps)

    def rate(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
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
        """For `state.json`."""
        return asdict(self)
