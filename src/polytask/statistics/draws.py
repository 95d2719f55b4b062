"""Which subjects each resample holds: the same for every run of a fold, so that differences are paired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """Resamples of a fold's subjects.

    Args:
        index: `[resamples, subjects]`, positions drawn with replacement.
    """

    index: Indices

    @property
    def subjects(self) -> int:
        """How many are drawn, from as many."""
        return int(self.index.shape[1])

    @cached_property
    def weights(self) -> Floats:
        """How often each resample holds each subject `[resamples, subjects]`; every row sums to `subjects`."""
        resamples, n = self.index.shape
        flat = (self.index + n * np.arange(resamples, dtype=np.int64)[:, None]).ravel()
        return np.bincount(flat, minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def draw(subjects: int, resamples: int = 1000, seed: int | Sequence[int] = 0) -> Draws:
    """As many subjects as there are, with replacement; a function of the seed (for a fold: `(seed, fold)`)."""
    rng = np.random.default_rng(seed)
    return Draws(rng.integers(0, subjects, size=(resamples, subjects), dtype=np.int64))
