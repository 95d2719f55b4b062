"""Estimate how likely two people have the same row in a table: measured numbers tell them apart, categories do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

from polytask.cohort.cell_values import column_value
from polytask.cohort.cohort import Case, Cohort

MAX_EXPECTED_PAIRS = 0.05
"""Two equal rows count as one person when fewer pairs of strangers than this are expected to be equal by chance."""


def compute_row_chances(cohort: Cohort, cases: Sequence[Case]) -> dict[str, float]:
    """Estimate for each case the chance that a stranger has all the numbers of its row: `Case.key` → chance.

    A column of n levels (its range, counted in its smallest step) gives two people the same value with a chance of
    about 2/n, because values gather in the middle. The chances of all columns are multiplied. Categories, and numbers
    that are codes, are left out: they depend on each other too much for that.
    """
    rows = {case.key: _read_row_numbers(cohort, case) for case in cases}
    columns: dict[str, set[float]] = {}
    for row in rows.values():
        for column, value in row.items():
            columns.setdefault(column, set()).add(value)
    chance = {column: min(1.0, 2 / _count_distinct_levels(values)) for column, values in columns.items()}
    return {key: prod(chance[column] for column in row) for key, row in rows.items()}


def tells_people_apart(chance: float, some: int, others: int) -> bool:
    """Whether a row of this chance identifies a person, when `some` people are compared with `others` people.

    It does when fewer than `MAX_EXPECTED_PAIRS` pairs of strangers are expected to share the row.
    """
    return chance * some * others < MAX_EXPECTED_PAIRS


def _read_row_numbers(cohort: Cohort, case: Case) -> Mapping[str, float]:
    """Read the known numbers of a case's tables: column → value."""
    numbers: dict[str, float] = {}
    for name, table in cohort.header.tables.items():
        for column, spec in table.columns.items():
            value = column_value(cohort, (case,), name, column) if spec.type == "number" else None
            if isinstance(value, int | float):
                numbers[column] = float(value)
    return numbers


def _count_distinct_levels(values: set[float]) -> float:
    """Count the levels of a column: its range divided by its smallest step, plus one."""
    ordered = sorted(values)
    steps = [b - a for a, b in pairwise(ordered)]
    return (ordered[-1] - ordered[0]) / min(steps) + 1 if steps else 1.0
