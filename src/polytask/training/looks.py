"""What the log learns of the tasks' gradients now and then."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.balance.rule import Array

Look = dict[str, object]


def look_of(
    tasks: Sequence[str], seen: Sequence[tuple[Array, Array]], weights: Sequence[Array], apart: float | None
) -> Look:
    """Losses, norms and cosines of the tasks' gradients where they were taken, and the weights they got.

    Each is the mean over the step's batches that have it.

    Args:
        seen: of each batch Gramian `[T, T]` and losses `[T]`. weights: of each `[T]`. NaN where a task is not there.
        apart: cosine between the steps under the two cuts, where both were looked at: `cuts`.
    """
    lengths = [np.sqrt(np.clip(np.diag(inner), 0.0, None)) for inner, _ in seen]
    turned = [_cosines(inner, length) for (inner, _), length in zip(seen, lengths, strict=True)]
    cosine = known_mean(turned)
    named = {
        f"{tasks[i]} {tasks[j]}": float(cosine[i, j])
        for i in range(len(tasks))
        for j in range(i + 1, len(tasks))
        if np.isfinite(cosine[i, j])
    }
    means = {
        "losses": known_mean([s[1] for s in seen]),
        "norms": known_mean(lengths),
        "weights": known_mean(weights),
    }
    found: Look = {
        name: {task: float(v) for task, v in zip(tasks, values, strict=True) if np.isfinite(v)}
        for name, values in means.items()
    }
    return found | {"cosines": named} | ({} if apart is None else {"cuts": apart})


def _cosines(inner: Array, lengths: Array) -> Array:
    """NaN where a gradient is 0 or not there."""
    known = np.where(lengths > 0, lengths, np.nan)
    found: Array = inner / np.outer(known, known)
    return found


def known_mean(arrays: Sequence[Array]) -> Array:
    """Over the batches in which a number is there; NaN where it is in none."""
    there = np.isfinite(arrays)
    count = there.sum(0)
    found: Array = np.where(count > 0, np.where(there, arrays, 0.0).sum(0) / np.maximum(count, 1), np.nan)
    return found


class Common:
    """In what share of steps two tasks were known in one sample: only then can features show their conflict."""

    def __init__(self, tasks: Sequence[str]):
        self.pairs = [(i, j) for i in range(len(tasks)) for j in range(i)]
        self.names = [f"{tasks[j]} {tasks[i]}" for i, j in self.pairs]
        self.counts = [0] * len(self.pairs)
        self.steps = 0

    def add(self, together: Sequence[Sequence[float]]) -> None:
        """One step: `[T, T]`, more than 0 where some sample had both."""
        self.steps += 1
        for place, (i, j) in enumerate(self.pairs):
            self.counts[place] += together[i][j] > 0

    def shares(self) -> dict[str, float]:
        """By pair of tasks, `A B`."""
        return {name: count / max(1, self.steps) for name, count in zip(self.names, self.counts, strict=True)}
