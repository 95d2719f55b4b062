"""How wide a mask must be so that no more of a structure is missed than promised: on average, or in most patients.

A mask grows in steps (`THRESHOLDS`). Step 0 is the plain mask; beyond the last step lies everything, which misses
nothing.
"""

from __future__ import annotations

import numpy as np

from polytask.array_types import Floats, Indices
from polytask.trust.conformal import ROUNDING, find_score_rank


def choose_risk_step(missed: Floats, count: int, alpha: float) -> int | None:
    """Choose the first step that controls the mean missed share (Angelopoulos, Bates, Fisch, Lei, Schuster 2022).

    n / (n + 1) · R + 1 / (n + 1) ≤ α, with the mean R over n cases. Then the share that is missed of a new case is at
    most α on average, over calibrations and cases. None: only everything will do.

    Args:
        missed: `[steps]`, mean missed share of `count` cases; it never grows from step to step.
    """
    bound = (count * np.asarray(missed, np.float64) + 1) / (count + 1)
    steps = np.flatnonzero(bound <= alpha + ROUNDING)
    return int(steps[0]) if steps.size else None


def find_reached_steps(missed: Floats, alpha: float) -> Indices:
    """Find the first step of each case that misses at most `alpha` of it; the number of steps where none does.

    Args:
        missed: `[N, steps]`, missed share of each case.
    """
    enough = missed <= alpha + ROUNDING
    return np.asarray(np.where(enough.any(1), enough.argmax(1), missed.shape[1]), dtype=np.int64)


def choose_patient_step(reached: Indices, steps: int, alpha: float) -> int | None:
    """Choose the step that reaches 1 − α of new patients: the conformal quantile of the steps of N known ones.

    None: only everything will do. `steps` is the number of steps there are.
    """
    rank = find_score_rank(len(reached), alpha)
    step = steps if rank > len(reached) else int(np.sort(reached)[rank - 1])
    return step if step < steps else None
