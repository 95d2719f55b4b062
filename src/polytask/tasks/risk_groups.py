"""Groups by predicted risk: where the training risks are cut, and the group of a risk. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

THIRDS_FROM = 30
"""Training subjects from which on there are three groups instead of two."""
NAMES = {0: ("all",), 1: ("lower risk", "higher risk"), 2: ("low risk", "middle risk", "high risk")}
"""Number of cut-offs → names of the groups, low risk first."""


def cut_risks(risk: npt.ArrayLike) -> tuple[float, ...]:
    """Cut-offs that part training risks `[N]` in thirds (in halves below 30); none where all risks are alike."""
    found = np.asarray(risk, np.float64)
    found = found[np.isfinite(found)]
    if not found.size or found.min() == found.max():
        return ()
    parts = 3 if found.size >= THIRDS_FROM else 2
    edges = np.unique(np.quantile(found, np.linspace(0, 1, parts + 1)[1:-1]))
    return tuple(float(e) for e in edges if e < found.max())


def find_groups(risk: npt.ArrayLike, cutoffs: Sequence[float]) -> npt.NDArray[np.int64]:
    """Place among `NAMES[len(cutoffs)]` of each risk `[N]`; a risk at a cut-off belongs to the lower group."""
    return np.searchsorted(np.asarray(cutoffs, np.float64), np.asarray(risk, np.float64), side="left").astype(
        np.int64
    )
