"""The least number of subjects from which on a metric is printed with an interval."""

from __future__ import annotations

from typing import Literal, NamedTuple

Method = Literal[
    "share", "bounded mean", "error", "mean", "area", "concordance", "kappa", "spread", "other", "calibration"
]


class Floor(NamedTuple):
    """The least number of something, below which no interval is printed.

    Args:
        what: that is counted. least: how many there must be.
    """

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
"""Method → the least number at which its interval covers the truth as often as it should (measured by
`benchmarks/intervals.py`; the table is in `benchmarks/results`). Subjects are counted, because the visits of one
subject are not independent. The same floors hold for each site and for differences of two runs."""
GAP = Floor("subjects", 20)
"""Floor of a difference of two runs, in addition to the floors of both metrics."""


def find_shortage(floor: Floor, count: int) -> str:
    """Explain why no interval is given; empty where there are enough subjects."""
    return "" if count >= floor.least else f"too few: {count} {floor.what}, {floor.least} needed"
