"""Which subjects each resample holds, in blocks, so that only one block is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from polytask.array_types import Floats

COUNTS_PER_BLOCK = 2**21
"""How many numbers a block holds (16 MB)."""
BOOTSTRAP_RESAMPLES = 9_998
"""Enough for a studentized bootstrap: ten resamples lie beyond each end of an interval at level 0.998."""


def draw_counts(
    subjects: int, resamples: int = BOOTSTRAP_RESAMPLES, seed: int | Sequence[int] = 0
) -> Iterator[Floats]:
    """Draw how often each resample holds each subject, in blocks `[resamples of the block, subjects]`.

    Every row sums to `subjects`, which are drawn with replacement. The result is a function of the seed (for a fold:
    `(seed, fold)`).
    """
    rng = np.random.default_rng(seed)
    size = max(1, min(resamples, COUNTS_PER_BLOCK // max(1, subjects)))
    for start in range(0, resamples, size):
        rows = min(size, resamples - start)
        drawn = rng.integers(0, subjects, size=(rows, subjects), dtype=np.int64)
        # Each row gets numbers of its own, so that one `bincount` counts all rows.
        drawn += subjects * np.arange(rows, dtype=np.int64)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=rows * subjects)
        yield counts.reshape(rows, subjects).astype(np.float64)
