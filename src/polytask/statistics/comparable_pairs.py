"""Comparable pairs of survival times, counted for each item in n log² n steps instead of n²."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats, Indices


class PairCounts(NamedTuple):
    """The pairs that each item takes part in, `[items]` each.

    `early` counts comparable pairs in which the item has the event first, `late` those in which it is still under
    observation. The other two count those of them that are ordered right (equal risks one half).
    """

    early: Floats
    early_right: Floats
    late: Floats
    late_right: Floats


def count_pairs(
    risk: npt.ArrayLike,
    times: npt.ArrayLike,
    events: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
) -> PairCounts:
    """Count the pairs of each item; with `groups` (`[items]`, whole numbers) only pairs within one group.

    A pair is comparable when the earlier time is an event, or when both times are equal and only one is an event. It is
    ordered right when the item with the event has the higher risk. Risks and times must not be NaN.
    """
    happened = np.asarray(events) > 0
    # With (time, no event) as its place in line, an event is comparable to everything that stands strictly behind it.
    # Groups stand one behind the other in line and in risk: a later group never has a lower risk, so that no pair of
    # two groups is ever counted as ordered right.
    group = _find_ranks(np.zeros(happened.size) if groups is None else np.asarray(groups))
    place = _find_ranks(group, _find_ranks(np.asarray(times, np.float64)), ~happened)
    level = _find_ranks(group, _find_ranks(np.asarray(risk, np.float64)))

    behind = _count_up_to(group, group) - _count_up_to(place, place)
    before = _count_below(place[happened], place) - _count_below(group[happened], group)

    order = np.lexsort((level, place))  # equals in line stand by rising risk, so that they are no inversion
    lower, higher = np.zeros(happened.size), np.zeros(happened.size)
    permuted = np.empty(happened.size, np.int64)
    permuted[np.argsort(level[order], kind="stable")] = np.arange(happened.size)
    lower[order], higher[order] = count_inversions(permuted, happened[order])

    both = level * (int(place.max(initial=0)) + 1) + place
    last = (level + 1) * (int(place.max(initial=0)) + 1) - 1
    equal_behind = _count_up_to(both, last) - _count_up_to(both, both)
    first = last - int(place.max(initial=0))
    equal_before = _count_below(both[happened], both) - _count_below(both[happened], first)

    return PairCounts(
        np.where(happened, behind, 0.0),
        np.where(happened, lower + equal_behind / 2, 0.0),
        np.asarray(before, np.float64),
        higher + equal_before / 2,
    )


def count_inversions(values: Indices, counted: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Count inversions of a permutation of 0 … n − 1.

    Returns for each value, `[n]` each, how many smaller values stand after it, and how many larger ones that are
    `counted` stand before it. Two values differ first in some bit. For each bit from the lowest, values that agree in
    all higher bits are taken together in their order. Among them every 1 is above every 0, and running sums count both
    sides at once.
    """
    weights = np.asarray(counted, np.float64)
    behind, before = np.zeros(values.size), np.zeros(values.size)
    for bit in range(int(max(values.size - 1, 0)).bit_length()):
        order = np.argsort(values >> (bit + 1), kind="stable")
        shifted = values[order] >> bit
        upper = (shifted & 1).astype(bool)
        first = (shifted >> 1) << (bit + 1)  # of a permutation it is known where the values of a block begin
        last = np.minimum(first + (1 << (bit + 1)), values.size)
        lows = np.concatenate([[0.0], np.cumsum(~upper)])
        highs = np.concatenate([[0.0], np.cumsum(np.where(upper, weights[order], 0.0))])
        behind[order] += np.where(upper, lows[last] - lows[:-1], 0.0)
        before[order] += np.where(upper, 0.0, highs[:-1] - highs[first])
    return behind, before


def _find_ranks(*keys: npt.NDArray[np.generic]) -> Indices:
    """Return whole numbers from 0 in the order of the first key, then of the next; equal keys get equal numbers."""
    ranks = np.zeros(keys[0].size, np.int64)
    for key in keys:
        key_ranks = np.unique(key, return_inverse=True)[1].reshape(-1)
        ranks = ranks * (int(key_ranks.max(initial=0)) + 1) + key_ranks
        ranks = np.unique(ranks, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return ranks


def _count_up_to(among: Indices, values: Indices) -> Indices:
    return np.searchsorted(np.sort(among), values, side="right")


def _count_below(among: Indices, values: Indices) -> Indices:
    return np.searchsorted(np.sort(among), values, side="left")
