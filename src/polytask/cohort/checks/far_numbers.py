"""Check numbers that are far from the others of their column: a code for unknown (999), a typo, another unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import numpy as np

from polytask.cohort.checks.evidence import Evidence
from polytask.errors import Problem
from polytask.kinds import KINDS, cell_readers
from polytask.kinds.kind import CellParser

MIN_FILLED_CELLS = 10
"""A column with fewer filled cells, or fewer different numbers, is not searched: they show no usual range."""
MAX_NUMBER_DEVIATION = 25.0
"""A number is far if it lies more than this many robust standard deviations from the median."""
MAX_CODE_DEVIATION = 8.0
"""The same limit for a number that many tables write for unknown, such as 999."""
LONE_NUMBER_RATIO = 10.0
"""A far number must also be this many times as far from the median as the rest, because laboratory and molecular
values have long tails without gaps."""
OUTLIER_NUMBER_SHARE = 0.02
"""Share of the numbers (at least two) that may be outliers; all others are "the rest"."""
MAX_LOG_DEVIATION = 8.0
"""A column without negative numbers must also lie this many deviations away in log(1 + x): times have long tails."""
MAX_CLINICAL_COLUMNS = 200
"""A table with more number columns than this is only searched for codes of unknown: among many genes, some number is
far from the others by chance."""
UNKNOWN_NUMBER_CODES = (-9.0, -99.0, -999.0, -9999.0, 999.0, 9999.0, 99999.0)
IQR_TO_SD = 1.4826 / 2
"""Interquartile range × this = standard deviation, for normally distributed numbers."""


def check_far_numbers(evidence: Evidence) -> Iterator[Problem]:
    """Find cells of number columns, regressions and times that are far from all others of their column."""
    columns: dict[str, CellParser] = {}
    molecular: set[str] = set()
    for table in evidence.header.tables.values():
        own = {
            column: partial(cell_readers.read_number, bounds=spec.bounds)
            for column, spec in table.columns.items()
            if spec.type == "number"
        }
        columns |= own
        molecular |= set(own) if len(own) > MAX_CLINICAL_COLUMNS else set()
    for name, task in evidence.header.tasks.items():
        columns |= KINDS[task.kind].list_measured_columns(task, task.column or name)
    for column, parse in columns.items():
        numbers: list[tuple[int, float]] = []
        for k, case in enumerate(evidence.cohort.cases):
            if (cell := case.cells.get(column)) is not None:
                with suppress(cell_readers.UnreadableCell):  # the check of cells reports it
                    numbers.append((k, parse(cell)))
        for k, value, middle in _find_far_numbers(numbers, column in molecular):
            case = evidence.cohort.cases[k]
            yield evidence.make_problem(
                "warning",
                "far-number",
                f"{column}: {value:g} is far from all others (median {middle:.4g}, {len(numbers)} cells)",
                "if it is a code for unknown, add it to `unknown`; otherwise correct it",
                *(case.row, case.subject, column),
            )


def _find_far_numbers(
    numbers: list[tuple[int, float]], codes_only: bool
) -> Iterator[tuple[int, float, float]]:
    """List the cells that are far from the others, as (index of the case, value, median of the column)."""
    values = np.array([value for _, value in numbers])
    if len(values) < MIN_FILLED_CELLS or len(np.unique(values)) < MIN_FILLED_CELLS:
        return
    distance = _measure_robust_distance(values)
    # "The rest" ends at the largest distance after the few greatest are removed; two typos must not hide each other.
    rest_distance = np.sort(distance)[-1 - max(2, int(OUTLIER_NUMBER_SHARE * len(values)))]
    far = np.isin(values, UNKNOWN_NUMBER_CODES) & (distance > MAX_CODE_DEVIATION)
    if not codes_only:
        far |= (distance > MAX_NUMBER_DEVIATION) & (distance > LONE_NUMBER_RATIO * rest_distance)
    if values.min() >= 0:
        far &= _measure_robust_distance(np.log1p(values)) > MAX_LOG_DEVIATION
    for k in np.flatnonzero(far):
        yield numbers[k][0], float(values[k]), float(np.median(values))


def _measure_robust_distance(values: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Measure each value's distance from the median in robust standard deviations; all 0 if half of them are equal."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    spread = IQR_TO_SD * (high - low)
    distance: np.typing.NDArray[np.float64] = np.abs(values - middle) / spread if spread > 0 else 0 * values
    return distance
