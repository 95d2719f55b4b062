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
    steps = [np.outer(s, own) for s, own in zip(spreads, known, strict=True)]
    return _move_ends(values, values, steps, alpha)


def score_quantiles(low: Floats, high: Floats, truth: Floats) -> Floats:
    """Score known numbers `[N]` by how far they lie outside two quantiles, below 0 inside (CQR: Romano, Patterson,
    Candès 2019)."""
    return np.asarray(np.maximum(low - truth, truth - high), dtype=np.float64)


def make_quantile_intervals(
    lows: Sequence[Floats], highs: Sequence[Floats], known: Sequence[Floats], alpha: float
) -> tuple[Floats, Floats]:
    """Make an interval for each of N numbers from two quantiles, both moved outward or inward by known scores.

    As `make_intervals`, with `low` − score and `high` + score. Where both ends would pass each other, the interval is
    the point between them: nothing is lost, because an empty one holds nothing.
    """
    steps = [np.broadcast_to(own, (len(v), len(own))) for v, own in zip(lows, known, strict=True)]
    low, high = _move_ends(lows, highs, steps, alpha)
    crossed, middle = low > high, (lows[0] + highs[0]) / 2
    return np.where(crossed, middle, low), np.where(crossed, middle, high)


def _move_ends(
    lows: Sequence[Floats], highs: Sequence[Floats], steps: Sequence[Floats], alpha: float
) -> tuple[Floats, Floats]:
    """Choose the ends from those of all members, moved by each of their steps `[N, n]`."""
    count = sum(own.shape[1] for own in steps)
    first, last = floor(alpha * (count + 1) + ROUNDING), find_score_rank(count, alpha)
    if first < 1 or last > count:
        endless = np.full(len(lows[0]), np.inf)
        return -endless, endless
    low = np.concatenate([v[:, None] - s for v, s in zip(lows, steps, strict=True)], 1)
    high = np.concatenate([v[:, None] + s for v, s in zip(highs, steps, strict=True)], 1)
    return np.sort(low, 1)[:, first - 1], np.sort(high, 1)[:, last - 1]
