"""Split conformal prediction as textbooks have it, beside which the ranks are tested."""

from __future__ import annotations

from math import inf

import numpy as np

from polytask.array_types import Floats
from polytask.trust.conformal import find_score_rank


def find_score_threshold(scores: Floats, alpha: float) -> float:
    """The largest score of an answer that is kept; infinite (every answer is kept) where n is too small."""
    rank = find_score_rank(len(scores), alpha)
    return inf if rank > len(scores) else float(np.sort(scores)[rank - 1])
