"""From how many cases on an interval is printed."""

from __future__ import annotations

from typing import Literal, NamedTuple

Method = Literal[
    "share", "bounded mean", "error", "mean", "area", "concordance", "kappa", "spread", "other", "calibration"
]


class Floor(NamedTuple):
    """What is counted, and how many there must be."""

    what: str
    least: int


FLOORS: dict[Method, Floor] = {
    "share": Floor("subjects", 10),
    "bounded mean": Floor("subjects", 20),
    "error": Floor("subjects", 40),
    "mean": Floor("subjects", 20),
    "area": Floor("subjects of each class", 15),
    "concordance": Floor("subjects with an event", 20),
    "kappa": Floor("subjects", 30),
    "spread": Floor("subjects", 60),
    "other": Floor("subjects", 40),
    "calibration": Floor("subjects", 50),
}
"""By method: the least at which the coverage of its interval was seen to be right (`benchmarks/intervals.py`; the table
is in `benchmarks/results`). Subjects are counted, because the visits of one subject are no independent evidence. The
same holds for each site and for differences of two runs."""
GAP = Floor("subjects", 20)
"""Of a difference of two runs, beside the floors of both."""


def find_shortage(floor: Floor, count: int) -> str:
    """Why no interval is given; empty where there are enough."""
    return "" if count >= floor.least else f"too few: {count} {floor.what}, {floor.least} needed"
