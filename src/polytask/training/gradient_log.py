"""What the log records from time to time about the tasks' gradients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.balance.rule import Array

GradientSummary = dict[str, object]


def summarize_gradients(
    tasks: Sequence[str],
    batch_results: Sequence[tuple[Array, Array]],
    weights: Sequence[Array],
    cut_cosine: float | None,
) -> GradientSummary:
    """Summarize the tasks' gradients where they were taken: losses, norms, cosines, and the weights they received.

    Each number is the mean over those batches of the step that have it.

    Args:
        batch_results: of each batch the Gramian `[T, T]` and the losses `[T]`. weights: of each batch `[T]`. NaN where
            a task is absent.
        cut_cosine: cosine between the steps under the two cuts, when both were computed; logged as `cuts`.
    """
    # Rounding can leave a diagonal slightly below 0, and its root would be NaN.
    lengths = [np.sqrt(np.clip(np.diag(inner), 0.0, None)) for inner, _ in batch_results]
    cosines = [
        _compute_cosines(inner, length) for (inner, _), length in zip(batch_results, lengths, strict=True)
    ]
    cosine = average_over_batches(cosines)
    named = {
        f"{tasks[i]} {tasks[j]}": float(cosine[i, j])
        for i in range(len(tasks))
        for j in range(i + 1, len(tasks))
        if np.isfinite(cosine[i, j])
    }
    means = {
        "losses": average_over_batches([s[1] for s in batch_results]),
        "norms": average_over_batches(lengths),
        "weights": average_over_batches(weights),
    }
    summary: GradientSummary = {
        name: {task: float(v) for task, v in zip(tasks, values, strict=True) if np.isfinite(v)}
        for name, values in means.items()
    }
    return summary | {"cosines": named} | ({} if cut_cosine is None else {"cuts": cut_cosine})


def _compute_cosines(inner: Array, lengths: Array) -> Array:
    """Compute cosines from inner products and lengths; NaN where a gradient is 0 or absent."""
    known = np.where(lengths > 0, lengths, np.nan)
    cosines: Array = inner / np.outer(known, known)
    return cosines


def average_over_batches(arrays: Sequence[Array]) -> Array:
    """Average over the batches in which a number is defined; NaN where none defines it."""
    defined = np.isfinite(arrays)
    count = defined.sum(0)
    means: Array = np.where(count > 0, np.where(defined, arrays, 0.0).sum(0) / np.maximum(count, 1), np.nan)
    return means


class SharedSampleCounts:
    """Counts, for each pair of tasks, the steps in which some sample had both tasks known.

    Gradients at the features can show a conflict of two tasks only in such a sample.
    """

    def __init__(self, tasks: Sequence[str]):
        self.pairs = [(i, j) for i in range(len(tasks)) for j in range(i)]
        self.names = [f"{tasks[j]} {tasks[i]}" for i, j in self.pairs]
        self.counts = [0] * len(self.pairs)
        self.steps = 0

    def add(self, together: Sequence[Sequence[float]]) -> None:
        """Count one step: `[T, T]`, more than 0 where some sample had both tasks."""
        self.steps += 1
        for place, (i, j) in enumerate(self.pairs):
            self.counts[place] += together[i][j] > 0

    def shares(self) -> dict[str, float]:
        """Return the share of steps for each pair of tasks, named `A B`."""
        return {name: count / max(1, self.steps) for name, count in zip(self.names, self.counts, strict=True)}
