"""Numbers far from the others of their column: a code for unknown (999), a slip of the pen, another unit."""

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
"""Filled cells before a column has a distribution."""
FAR = 25.0
"""Robust deviations from the median."""
FAR_CODE = 8.0
"""The same for a number that many tables write for unknown."""
ALONE = 10.0
"""Times as far as the rest, at least: molecular numbers and laboratory values have long tails without a gap in them."""
FEW = 0.02
"""Share of the numbers, two at least, that are not the rest."""
FAR_LOG = 8.0
"""The same of the logarithm (of 1 more), where no number is below 0: times have long tails."""
MOLECULAR = 200
"""Tables with more columns than that get only codes for unknown named: some gene is far out in somebody."""
CODES = (-9.0, -99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0)
TO_SD = 1.4826 / 2
"""Turns half the width of the middle half of the numbers into a standard deviation, for normal numbers."""


def check_far_numbers(evidence: Evidence) -> Iterator[Problem]:
    """Cells of number columns, regressions and times that no distribution of their column explains."""
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
    """(which, value, median) of the cells that lie far out."""
    values = np.array([value for _, value in found])
    if len(values) < ENOUGH or len(np.unique(values)) < ENOUGH:
        return
    distance = _distance(values)
    rest = np.sort(distance)[-1 - max(2, int(FEW * len(values)))]
    far = np.isin(values, CODES) & (distance > FAR_CODE)
    if not codes_only:
        far |= (distance > FAR) & (distance > ALONE * rest)
    if values.min() >= 0:
        far &= _distance(np.log1p(values)) > FAR_LOG
    for k in np.flatnonzero(far):
        yield found[k][0], float(values[k]), float(np.median(values))


def _distance(values: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Distance from the median in robust standard deviations; 0 where half of the numbers are equal."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    spread = TO_SD * (high - low)
    distance: np.typing.NDArray[np.float64] = np.abs(values - middle) / spread if spread > 0 else 0 * values
    return distance
