"""A threshold on a probability that reaches a requested sensitivity or specificity."""

from __future__ import annotations

from math import ceil
from typing import Literal

import numpy as np
import numpy.typing as npt

from polytask.array_types import NAN
from polytask.errors import PolytaskError

ThresholdAim = Literal["sensitivity", "specificity"]
COUNT_TOLERANCE = 1e-9
"""Tolerance of a count of cases: 1 / (1 − 0.9) comes out slightly above 10."""


def choose_threshold(p: npt.ArrayLike, positive: npt.ArrayLike, aim: ThresholdAim, target: float) -> float:
    """Choose the threshold t (p ≥ t is called positive) that reaches the target and loses least of the other share.

    Args:
        p: probability of being positive `[N]`. positive: `[N]`.
        aim: which share must reach the target. target: strictly between 0 and 1.

    Raises:
        PolytaskError: with the reason, where no threshold does: too few cases to see a miss at this share, or so many
            cases alike that only calling all (or none) positive reaches it.
    """
    if not 0 < target < 1:
        raise PolytaskError(f"{aim} {target:g}: expected a share between 0 and 1, such as 0.9")
    scores, truth = np.asarray(p, np.float64), np.asarray(positive, bool)
    held = scores[truth] if aim == "sensitivity" else scores[~truth]
    class_word = "positive" if aim == "sensitivity" else "negative"
    need = ceil(1 / (1 - target) - COUNT_TOLERANCE)
    if held.size < need:
        raise PolytaskError(
            f"{aim} {target:g} cannot be reached: {held.size} {class_word} case{'s' * (held.size != 1)}, expected "
            f"at least {need}, so that one of them may be missed; ask for less"
        )
    kept_count = ceil(target * held.size - COUNT_TOLERANCE)
    if aim == "sensitivity":
        threshold = float(np.sort(held)[::-1][kept_count - 1])
        reached = bool((scores < threshold).any())
        only = "calling every case positive"
    else:
        last = float(np.sort(held)[kept_count - 1])
        above = scores[scores > last]
        reached = above.size > 0
        threshold = (last + float(above.min())) / 2 if reached else NAN
        # Of two neighboring floats the middle may be the lower one.
        threshold = float(above.min()) if reached and threshold <= last else threshold
        only = "calling no case positive"
    if not reached:
        raise PolytaskError(
            f"{aim} {target:g} cannot be reached other than by {only}: the probabilities do not tell the cases apart; "
            "ask for less"
        )
    return threshold
