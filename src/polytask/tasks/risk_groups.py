"""Divides subjects into groups by predicted risk, with cut-offs from the training risks. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MIN_SUBJECTS_FOR_THIRDS = 30
"""Three groups are made of at least this many training subjects, otherwise two."""
RISK_GROUP_NAMES = {
    0: ("all",),
    1: ("lower risk", "higher risk"),
    2: ("low risk", "middle risk", "high risk"),
}
"""Number of cut-offs → names of the groups, lowest risk first."""


def find_risk_cutoffs(risk: npt.ArrayLike) -> tuple[float, ...]:
    """Find cut-offs that divide training risks `[N]` into thirds (halves below 30 subjects); none if all are equal."""
    risks = np.asarray(risk, np.float64)
    risks = risks[np.isfinite(risks)]
    if not risks.size or risks.min() == risks.max():
        return ()
    parts = 3 if risks.size >= MIN_SUBJECTS_FOR_THIRDS else 2
    edges = np.unique(np.quantile(risks, np.linspace(0, 1, parts + 1)[1:-1]))
    # A cut-off at the largest risk would leave the group above it empty.
    return tuple(float(e) for e in edges if e < risks.max())


def assign_risk_groups(risk: npt.ArrayLike, cutoffs: Sequence[float]) -> npt.NDArray[np.int64]:
    """Assign each risk `[N]` the index of its group, lowest risk first; a risk at a cut-off is in the lower group."""
    return np.searchsorted(np.asarray(cutoffs, np.float64), np.asarray(risk, np.float64), side="left").astype(
        np.int64
    )
