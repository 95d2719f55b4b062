"""Intervals of numbers and counts that hold the truth as often as promised."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np

from polytask.array_types import Floats
from polytask.trust.conformal import ROUNDING, find_score_rank


def score_numbers(value: Floats, truth: Floats, spread: Floats) -> Floats:
    """Score known numbers `[N]`: their distance from the answer, in units of the spread that is expected there."""
    return np.asarray(np.abs(truth - value) / spread, dtype=np.float64)


def make_intervals(
    values: Sequence[Floats], spreads: Sequence[Floats], known: Sequence[Floats], alpha: float
) -> tuple[Floats, Floats]:
    """Make an interval for each of N numbers → (low `[N]`, high `[N]`); infinite where too few are known.

    The ends are the ⌊α(n + 1)⌋-th smallest of answer − score · spread and the ⌈(1 − α)(n + 1)⌉-th smallest of answer +
    score · spread, over all members with their own scores (CV+, Barber et al. 2021). One member: answer ± the score
    with the rank `find_score_rank`.

    Args:
        values, spreads: of each member the answers `[N]` and the expected spread `[N]`.
        known: of each member the scores `[n]` of the subjects that it was not trained on.
    """
    lows = [v[:, None] - np.outer(s, own) for v, s, own in zip(values, spreads, known, strict=True)]
    highs = [v[:, None] + np.outer(s, own) for v, s, own in zip(values, spreads, known, strict=True)]
    count = sum(map(len, known))
    first, last = floor(alpha * (count + 1) + ROUNDING), find_score_rank(count, alpha)
    if first < 1 or last > count:
        endless = np.full(len(values[0]), np.inf)
        return -endless, endless
    low = np.sort(np.concatenate(lows, 1), 1)[:, first - 1]
    high = np.sort(np.concatenate(highs, 1), 1)[:, last - 1]
    return low, high
