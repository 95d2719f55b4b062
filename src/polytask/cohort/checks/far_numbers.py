"""Check numbers that are far from the others of their column: a code for unknown (999), a typo, another unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import numpy as np

from polytask.cohort.checks.evidence import Evidence
from polytask.errors import Problem
from polytask.kinds import KINDS, cells
from polytask.kinds.kind import Parser

ENOUGH = 10
"""Fewer filled cells (or fewer different numbers) than this are no distribution."""
FAR = 25.0
"""A number is far beyond this many robust standard deviations from the median."""
FAR_CODE = 8.0
"""The same limit for a number that many tables write for unknown, such as 999."""
ALONE = 10.0
"""A far number is this many times as far as the rest: laboratory and molecular values have long tails without gaps."""
FEW = 0.02
"""Share of the numbers (at least two) that may be outliers; all others are "the rest"."""
FAR_LOG = 8.0
"""Without negative numbers, log(1 + x) must also be this many deviations away: times, for example, have long tails."""
MOLECULAR = 200
"""In tables with more number columns than this only codes for unknown count: with many genes, one is far by chance."""
CODES = (-9.0, -99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0)
TO_SD = 1.4826 / 2
"""Interquartile range × this = standard deviation, for normally distributed numbers."""


def check_far_numbers(evidence: Evidence) -> Iterator[Problem]:
    """Find cells of number columns, regressions and times that are far from all others of their column."""
    columns: dict[str, Parser] = {}
    molecular: set[str] = set()
    for table in evidence.header.tables.values():
        own = {
            column: partial(cells.read_number, bounds=spec.bounds)
            for column, spec in table.columns.items()
            if spec.type == "number"
        }
        columns |= own
        molecular |= set(own) if len(own) > MOLECULAR else set()
    for name, task in evidence.header.tasks.items():
        columns |= KINDS[task.kind].list_measured_columns(task, task.column or name)
    for column, parse in columns.items():
        found: list[tuple[int, float]] = []
        for k, case in enumerate(evidence.cohort.cases):
            if (cell := case.cells.get(column)) is not None:
                with suppress(cells.OddCell):  # named by the check of cells
                    found.append((k, parse(cell)))
        for k, value, middle in _far(found, column in molecular):
            case = evidence.cohort.cases[k]
            yield evidence.problem(
                "warning",
                "far-number",
                f"{column}: {value:g} is far from all others (median {middle:.4g}, {len(found)} cells)",
                "a code for unknown? Add it to `unknown`; else mend it",
                *(case.row, case.subject, column),
            )


def _far(found: list[tuple[int, float]], codes_only: bool) -> Iterator[tuple[int, float, float]]:
    """List the cells that are far from the others, as (index of the case, value, median of the column)."""
    values = np.array([value for _, value in found])
    if len(values) < ENOUGH or len(np.unique(values)) < ENOUGH:
        return
    distance = _distance(values)
    # "The rest" ends at the largest distance after the few greatest are removed; two typos must not hide each other.
    rest = np.sort(distance)[-1 - max(2, int(FEW * len(values)))]
    far = np.isin(values, CODES) & (distance > FAR_CODE)
    if not codes_only:
        far |= (distance > FAR) & (distance > ALONE * rest)
    if values.min() >= 0:
        far &= _distance(np.log1p(values)) > FAR_LOG
    for k in np.flatnonzero(far):
        yield found[k][0], float(values[k]), float(np.median(values))


def _distance(values: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Measure each value's distance from the median in robust standard deviations; all 0 if half of them are equal."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    spread = TO_SD * (high - low)
    distance: np.typing.NDArray[np.float64] = np.abs(values - middle) / spread if spread > 0 else 0 * values
    return distance
