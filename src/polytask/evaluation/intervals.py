"""95 % intervals by resampling subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
NAN = float("nan")
LEVEL = 0.95
SMALLEST_SHARE = 0.5
"""With fewer of the resamples defined, an interval would describe the lucky ones only: it is not given."""


class Interval(NamedTuple):
    """A statistic and its percentile interval.

    Args:
        estimate: on all items.
        low, high: NaN when the statistic is undefined, or defined on fewer than half of the resamples.
        n: subjects that were resampled.
        dropped: resamples on which the statistic was not defined.
    """

    estimate: float
    low: float
    high: float
    n: int
    dropped: int = 0


def draw_items(subjects: Sequence[str], n: int, seed: int) -> Iterator[Indices]:
    """`n` draws of as many subjects as there are, with replacement, each with all its items (by position)."""
    places: dict[str, list[int]] = {}
    for i, s in enumerate(subjects):
        places.setdefault(s, []).append(i)
    groups = [np.array(v, dtype=np.int64) for v in places.values()]
    alone = np.concatenate(groups) if len(groups) == len(subjects) else None
    rng = np.random.default_rng(seed)
    for _ in range(n):
        drawn = rng.integers(0, len(groups), size=len(groups))
        yield alone[drawn] if alone is not None else np.concatenate([groups[g] for g in drawn])


def bootstrap(
    statistic: Callable[[Indices], Mapping[str, float]], subjects: Sequence[str], n: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """The percentile interval of each number `statistic` returns for items (given by position).

    For numbers that have no better interval: it is too narrow where few subjects carry the number or it lies near a
    bound (`measure.py` does not use it). `subjects` names each item's subject. A subject drawn twice counts twice;
    visits of one subject stay together, so that their likeness is not taken for evidence. The same seed gives the same
    resamples for every statistic; of a resample only the numbers are kept.
    """
    if not len(subjects):
        return {}
    whole = statistic(np.arange(len(subjects), dtype=np.int64))
    drawn = np.full((n, len(whole)), NAN)
    for row, index in enumerate(draw_items(subjects, n, seed)):
        found_here = statistic(index)
        drawn[row] = [found_here.get(name, NAN) for name in whole]
    people = len(set(subjects))
    found: dict[str, Interval] = {}
    for (name, estimate), values in zip(whole.items(), drawn.T, strict=True):
        kept = values[np.isfinite(values)]
        dropped = int(values.size - kept.size)
        if np.isfinite(estimate) and kept.size and kept.size >= SMALLEST_SHARE * n:
            low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found[name] = Interval(float(estimate), float(low), float(high), people, dropped)
        else:
            found[name] = Interval(float(estimate), NAN, NAN, people, dropped)
    return found
