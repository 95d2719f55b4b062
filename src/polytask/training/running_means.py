"""The means of an epoch, over the steps that have a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any


class RunningMeans:
    """Running means of the losses that were present."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.there: dict[str, int] = {}
        self.steps = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of one step."""
        self.steps += 1
        for name, value in losses.items():
            self.there[name] = self.there.get(name, 0) + 1
            # A loss that is not finite would stay in the sum for ever; its task was there all the same.
            if not isfinite(value):
                continue
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a checkpoint within an epoch."""
        return vars(self)

    def load(self, saved: Mapping[str, Any]) -> None:
        """Continue from what `as_dict` returned."""
        self.sums, self.counts, self.there = (dict(saved[key]) for key in ("sums", "counts", "there"))
        self.steps = int(saved["steps"])

    def means(self) -> dict[str, float]:
        """Return the mean of each loss by name."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}

    def present(self, tasks: Iterable[str]) -> dict[str, float]:
        """Return for each task the share of the steps in which it had something to learn from."""
        return {task: self.there.get(task, 0) / max(1, self.steps) for task in tasks}
