"""Splits subjects in two halves many times: one half fits, the other checks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import Mask
from polytask.trust.fit_task import CHECK_SPLITS, MIN_SUBJECTS, Spread


def split_in_halves(subjects: npt.NDArray[np.str_], seed: int) -> list[Mask]:
    """Split the N cases of some subjects: for each split which cases fit `[N]`. Nothing where there are too few."""
    names, random = np.unique(subjects), np.random.default_rng(seed)
    if len(names) < MIN_SUBJECTS:
        return []
    return [np.isin(subjects, random.permutation(names)[: len(names) // 2]) for _ in range(CHECK_SPLITS)]


def summarize_splits(values: Sequence[float]) -> Spread:
    """Summarize a figure over the splits in which it is defined."""
    defined = np.array([v for v in values if np.isfinite(v)])
    if not len(defined):
        return Spread(float("nan"), float("nan"))
    return Spread(float(defined.mean()), float(defined.std(ddof=1)) if len(defined) > 1 else 0.0)
