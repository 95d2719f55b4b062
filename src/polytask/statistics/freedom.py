"""Degrees of freedom of a variance that is a sum of several estimates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from polytask.array_types import Floats

Array = float | Floats


def combine_freedoms(parts: Sequence[Array], freedoms: Sequence[Array]) -> Floats:
    """Compute (Σ v_k)² / Σ (v_k² / ν_k), after Satterthwaite 1946; for two sample means this is Welch's.

    It works elementwise; NaN where the sum is 0.
    """
    pairs = [(np.asarray(v, np.float64), np.asarray(f)) for v, f in zip(parts, freedoms, strict=True)]
    total = np.asarray(sum(v for v, _ in pairs))
    spread = np.asarray(sum(v**2 / f for v, f in pairs))
    return np.where(spread > 0, total**2 / np.where(spread > 0, spread, 1.0), np.nan)
