"""How likely two people share a row of a table: measured numbers tell them apart, codes and categories do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.values import column_value

FEWEST = 0.05
"""Rows are taken for those of one person where fewer pairs of strangers than this are expected to be alike."""


def chances_of_same_row(cohort: Cohort, cases: Sequence[Case]) -> dict[str, float]:
    """`Case.key` → chance that a stranger has all the numbers of this row.

    A column of numbers has as many levels as its smallest step fits into its range; two people are on the same one with
    a chance of about two in that number (values gather in the middle). Categories, and numbers that are codes, are left
    out: they depend on each other too much to be multiplied.
    """
    rows = {case.key: _numbers(cohort, case) for case in cases}
    columns: dict[str, set[float]] = {}
    for row in rows.values():
        for column, value in row.items():
            columns.setdefault(column, set()).add(value)
    chance = {column: min(1.0, 2 / _levels(values)) for column, values in columns.items()}
    return {key: prod(chance[column] for column in row) for key, row in rows.items()}


def tells_people_apart(chance: float, some: int, others: int) -> bool:
    """Whether fewer than 0.05 pairs of `some` and `others` people would share a row of this chance."""
    return chance * some * others < FEWEST


def _numbers(cohort: Cohort, case: Case) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name, table in cohort.header.tables.items():
        for column, spec in table.columns.items():
            value = column_value(cohort, (case,), name, column) if spec.type == "number" else None
            if isinstance(value, int | float):
                found[column] = float(value)
    return found


def _levels(values: set[float]) -> float:
    """Range by smallest step, plus one."""
    ordered = sorted(values)
    steps = [b - a for a, b in pairwise(ordered)]
    return (ordered[-1] - ordered[0]) / min(steps) + 1 if steps else 1.0
