"""The smallest number of subjects with which a metric is printed with an interval."""

from __future__ import annotations

from typing import Literal, NamedTuple

IntervalMethod = Literal[
    "share", "bounded mean", "error", "mean", "area", "concordance", "kappa", "spread", "other", "calibration"
]


class IntervalFloor(NamedTuple):
    """The smallest number of something with which an interval is printed.

    Args:
        what: what is counted, e.g. "subjects". least: how many there must be.
    """

    what: str
    least: int


INTERVAL_FLOORS: dict[IntervalMethod, IntervalFloor] = {
    "share": IntervalFloor("subjects", 10),
    "bounded mean": IntervalFloor("subjects", 20),
    "error": IntervalFloor("subjects", 40),
    "mean": IntervalFloor("subjects", 20),
    "area": IntervalFloor("subjects of each class", 15),
    "concordance": IntervalFloor("subjects with an event", 20),
    "kappa": IntervalFloor("subjects", 30),
    "spread": IntervalFloor("subjects", 60),
    "other": IntervalFloor("subjects", 40),
    "calibration": IntervalFloor("subjects", 50),
}
"""Method → the least number at which its interval covers the truth as often as it should (measured by
`benchmarks/intervals.py`; the table is in `benchmarks/results`). Subjects are counted, because the visits of one
subject are not independent. The same floors hold for each site and for differences of two runs."""
DIFFERENCE_FLOOR = IntervalFloor("subjects", 20)
"""Floor of a difference of two runs, in addition to the floors of both metrics."""


def explain_missing_interval(floor: IntervalFloor, count: int) -> str:
    """Explain why no interval is given; empty where there are enough subjects."""
    return "" if count >= floor.least else f"too few: {count} {floor.what}, {floor.least} needed"
