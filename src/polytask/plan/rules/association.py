"""Measures how strongly each of many columns is associated with one answer, by rank tests on all columns at once.

Unknown cells are left out. Each statistic is standard normal when column and answer are independent, whatever the
number of known cells, so that columns with different numbers of known cells can be compared with each other.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats


def rank_columns(values: Floats) -> Floats:
    """Rank the values in each column of `[N, P]`, starting at 1. Equal values share their mean rank; NaN stays NaN."""
    ranks = np.full(values.shape, np.nan)
    for index, column in enumerate(values.T):
        known = ~np.isnan(column)
        _, place, counts = np.unique(column[known], return_inverse=True, return_counts=True)
        # The last rank of a group of ties is the running count; half of the group's other members back is its middle.
        ranks[known, index] = (np.cumsum(counts) - (counts - 1) / 2)[place]
    return ranks


def compute_rank_z(values: Floats, answer: Floats) -> Floats:
    """Compute |z| `[P]` of the correlation between the ranks of each column of `values [N, P]` and an answer `[N]`.

    If the answer holds ranks, this is Spearman's test; if it holds 0 and 1, it is the Mann–Whitney test, which tests
    whether the AUC is one half.
    """
    return compute_z_from_ranks(rank_columns(values), answer)


def compute_z_from_ranks(ranked: Floats, answer: Floats) -> Floats:
    """Compute the same from ranks that are already known, so that one ranking serves several answers."""
    # The variance of the rank correlation under independence is 1 / (n − 1), so r · sqrt(n − 1) is the z score.
    known = ~np.isnan(ranked)
    count = known.sum(0)
    x, y = _center_columns(ranked, known), _center_columns(np.where(known, answer[:, None], np.nan), known)
    return np.asarray(
        _divide_absolute((x * y).sum(0), np.sqrt((x**2).sum(0) * (y**2).sum(0)))
        * np.sqrt(np.maximum(count - 1, 0))
    )


def compute_cox_z(values: Floats, time: Floats, event: Floats) -> Floats:
    """Compute |z| `[P]` of the score test of a Cox model whose only covariate is the ranks of one column of `[N, P]`.

    For a column with two values this is the log-rank test. `time [N]` and `event [N]` (above 0 = observed) give the
    follow-up.
    """
    # From the longest time down, a cumulative sum runs over the risk set of each time. Subjects with equal times
    # belong to each other's risk set, so the sum is read at the last of them.
    order = np.argsort(-time, kind="stable")
    ranked = rank_columns(values)[order]
    known = ~np.isnan(ranked)
    x = _center_columns(ranked, known)
    last = np.searchsorted(-time[order], -time[order], side="right") - 1
    at_risk = np.maximum(np.cumsum(known, 0), 1)[last]
    mean = np.cumsum(x, 0)[last] / at_risk
    variance = np.cumsum(x**2, 0)[last] / at_risk - mean**2
    counts = known & (event[order] > 0)[:, None]
    score, information = np.where(counts, x - mean, 0.0).sum(0), np.where(counts, variance, 0.0).sum(0)
    return _divide_absolute(score, np.sqrt(np.maximum(information, 0.0)))


def compute_log_rank_scores(time: Floats, event: Floats) -> Floats:
    """Compute the log-rank score of each subject `[N]`: observed minus expected events, if nothing influenced them.

    They sum up with a covariate to the numerator of Cox's score test (Breslow's handling of ties), so a survival time
    can be correlated like any other number.
    """
    # The hazard at a time is events over subjects at risk; each subject collects it up to its own time.
    times, place = np.unique(time, return_inverse=True)
    ended = np.bincount(place, minlength=times.size)
    at_risk = np.cumsum(ended[::-1])[::-1]
    observed = event > 0
    hazard = np.cumsum(
        np.bincount(place, weights=observed.astype(np.float64), minlength=times.size) / at_risk
    )
    return observed - hazard[place]


def compute_subset_z(ranked: Floats, answer: Floats, subsets: npt.NDArray[np.bool_]) -> Floats:
    """Compute |z| `[S, P]` between columns of ranks `[N, P]` and an answer `[N]` within each subset of `[S, N]`.

    The ranks are those among all N rows: under independence the variance of a correlation is 1 / (n − 1) whatever the
    numbers are. NaN is unknown, in the ranks and in the answer.
    """
    known = ~np.isnan(ranked) & ~np.isnan(answer)[:, None]
    x = _center_columns(ranked, known)
    y = np.nan_to_num(answer - np.nanmean(answer))[:, None]
    # Sums over a subset are products of matrices: all subsets and columns at once.
    chosen = subsets.astype(np.float64)
    count = np.maximum(chosen @ known, 1)
    sum_x, sum_y = chosen @ x, chosen @ (known * y)
    covariance = chosen @ (x * y) - sum_x * sum_y / count
    spread = (chosen @ x**2 - sum_x**2 / count) * (chosen @ (known * y**2) - sum_y**2 / count)
    correlation = _divide_absolute(covariance, np.sqrt(np.maximum(spread, 0.0)))
    return np.asarray(correlation * np.sqrt(count - 1))


def find_repeated_columns(values: Floats, limit: float) -> npt.NDArray[np.bool_]:
    """Mark the columns of `[N, P]` that repeat an earlier one: |correlation| above `limit` with a column before it that
    is no repeat itself. An unknown cell counts as the mean of its column."""
    known = ~np.isnan(values)
    x = _center_columns(values, known)
    x = x / np.maximum(np.sqrt((x**2).sum(0)), 1e-300)
    repeated = np.zeros(x.shape[1], bool)
    for start in range(0, x.shape[1], COLUMNS_PER_BLOCK):
        block = x[:, start : start + COLUMNS_PER_BLOCK]
        inside = np.abs(block.T @ block) > limit
        repeated[start : start + COLUMNS_PER_BLOCK] = _find_correlated_columns(
            x[:, :start][:, ~repeated[:start]], block, limit
        )
        # One after the other inside a block: a column is compared only with those already known to be no repeats.
        for column in range(1, block.shape[1]):
            earlier = inside[column, :column] & ~repeated[start : start + column]
            repeated[start + column] |= bool(earlier.any())
    return repeated


COLUMNS_PER_BLOCK = 512
"""Number of columns compared at once, so that memory grows with the number of columns and not with its square."""


def _find_correlated_columns(kept: Floats, block: Floats, limit: float) -> npt.NDArray[np.bool_]:
    correlated = np.zeros(block.shape[1], bool)
    for start in range(0, kept.shape[1], COLUMNS_PER_BLOCK):
        correlated |= (np.abs(kept[:, start : start + COLUMNS_PER_BLOCK].T @ block) > limit).any(0)
    return correlated


def _center_columns(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Subtract its mean from each column; unknown cells become 0."""
    filled = np.where(known, values, 0.0)
    return np.where(known, filled - filled.sum(0) / np.maximum(known.sum(0), 1), 0.0)


def _divide_absolute(above: Floats, below: Floats) -> Floats:
    """Compute |above / below|, and 0 where the denominator is too small to say anything."""
    # A column without variation gives a denominator of about 1e-16 and not 0, and the ratio would be rounding noise.
    small = below <= 1e-9 * max(1.0, float(np.max(below, initial=0.0)))
    return np.where(small, 0.0, np.abs(above) / np.where(small, 1.0, below))
