"""How strongly each of many columns goes with one answer: rank tests, all columns at once, unknown cells left out.

Each statistic is standard normal where column and answer have nothing to do with each other, whatever the number of
known cells, so that columns of different filling, and only these, can be compared.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def ranks(values: Floats) -> Floats:
    """Ranks from 1 in each column of `[N, P]`, equal values sharing their mean rank; unknown (NaN) stays so."""
    found = np.full(values.shape, np.nan)
    for index, column in enumerate(values.T):
        known = ~np.isnan(column)
        _, place, counts = np.unique(column[known], return_inverse=True, return_counts=True)
        found[known, index] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return found


def rank_association(values: Floats, answer: Floats) -> Floats:
    """|z| `[P]` of the correlation between each column's ranks `[N, P]` and an answer `[N]`.

    With ranks for an answer it is Spearman's test, with 0 and 1 Mann and Whitney's, the test of an AUC of one half.
    """
    return ranked_association(ranks(values), answer)


def ranked_association(ranked: Floats, answer: Floats) -> Floats:
    """The same from the ranks, which serve several answers of the same cases."""
    known = ~np.isnan(ranked)
    count = known.sum(0)
    x, y = _centred(ranked, known), _centred(np.where(known, answer[:, None], np.nan), known)
    return np.asarray(
        _ratio((x * y).sum(0), np.sqrt((x**2).sum(0) * (y**2).sum(0))) * np.sqrt(np.maximum(count - 1, 0))
    )


def cox_association(values: Floats, time: Floats, event: Floats) -> Floats:
    """|z| `[P]` of the score test of a Cox model with one column's ranks `[N, P]` as its only covariate (the log-rank
    test where the column has two values)."""
    order = np.argsort(-time, kind="stable")
    ranked = ranks(values)[order]
    known = ~np.isnan(ranked)
    x = _centred(ranked, known)
    last = np.searchsorted(-time[order], -time[order], side="right") - 1
    at_risk = np.maximum(np.cumsum(known, 0), 1)[last]
    mean = np.cumsum(x, 0)[last] / at_risk
    variance = np.cumsum(x**2, 0)[last] / at_risk - mean**2
    counts = known & (event[order] > 0)[:, None]
    score, information = np.where(counts, x - mean, 0.0).sum(0), np.where(counts, variance, 0.0).sum(0)
    return _ratio(score, np.sqrt(np.maximum(information, 0.0)))


def repeats(values: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Whether each column of `[N, P]` correlates by more than `limit` (or less than −`limit`) with one before it that
    is no repeat itself. An unknown cell is taken as the column's mean."""
    known = ~np.isnan(values)
    x = _centred(values, known)
    x = x / np.maximum(np.sqrt((x**2).sum(0)), 1e-300)
    found = np.zeros(x.shape[1], bool)
    for start in range(0, x.shape[1], BLOCK):
        block = x[:, start : start + BLOCK]
        inside = np.abs(block.T @ block) > limit
        found[start : start + BLOCK] = _near(x[:, :start][:, ~found[:start]], block, limit)
        for column in range(1, block.shape[1]):
            earlier = inside[column, :column] & ~found[start : start + column]
            found[start + column] |= bool(earlier.any())
    return found


BLOCK = 512
"""Columns compared at once, so that memory grows with the number of columns and not with its square."""


def _near(kept: Floats, block: Floats, limit: float) -> npt.NDArray[np.bool_]:
    found = np.zeros(block.shape[1], bool)
    for start in range(0, kept.shape[1], BLOCK):
        found |= (np.abs(kept[:, start : start + BLOCK].T @ block) > limit).any(0)
    return found


def _centred(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Each column less its mean, 0 where unknown."""
    filled = np.where(known, values, 0.0)
    return np.where(known, filled - filled.sum(0) / np.maximum(known.sum(0), 1), 0.0)


def _ratio(above: Floats, below: Floats) -> Floats:
    """|above / below|, 0 where nothing can be said."""
    small = below <= 1e-9 * max(1.0, float(np.max(below, initial=0.0)))
    return np.where(small, 0.0, np.abs(above) / np.where(small, 1.0, below))
