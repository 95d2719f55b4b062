"""The difference of two estimates from different people, from the interval of each estimate."""

from __future__ import annotations

from math import hypot, isfinite
from typing import NamedTuple

from polytask.array_types import NAN


class BoundedEstimate(NamedTuple):
    """An estimate with its interval; NaN where it is not defined."""

    estimate: float
    low: float
    high: float


def subtract_independent(second: BoundedEstimate, first: BoundedEstimate) -> BoundedEstimate:
    """Compute `second − first` with an interval of the level that both have: method of variance estimates recovery.

    Each limit is as far from the difference as the two distances that push to that side, squared and added, so that
    skewed intervals stay skewed. With Wilson's intervals it is Newcombe's method 10 (Statist. Med. 17, 1998, 873–890);
    for any pair of intervals see Zou and Donner (Statist. Med. 27, 2008, 1693–1702). Without both intervals there is no
    interval.
    """
    difference = second.estimate - first.estimate
    if not all(isfinite(v) for v in (*second, *first)):
        return BoundedEstimate(difference, NAN, NAN)
    down = hypot(second.estimate - second.low, first.high - first.estimate)
    up = hypot(second.high - second.estimate, first.estimate - first.low)
    return BoundedEstimate(difference, difference - down, difference + up)
