"""Columns of table inputs as arrays: every cell is parsed once, whatever the number of folds that read it.

Only plain numbers are parsed here; `column_value` says what any other cell means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.cohort.cohort import Cohort
from polytask.cohort.values import column_value
from polytask.kinds.cells import OddCell, read_decimal

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


class ParsedColumns:
    """The numeric columns of a cohort's table inputs, parsed when they are first asked for."""

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort
        place = {id(case): k for k, case in enumerate(cohort.cases)}
        self._rows = {s: np.array([place[id(c)] for c in cases]) for s, cases in cohort.subjects.items()}
        self._found: dict[str, Floats] = {}
        self._odd: dict[str, set[int]] = {}

    def rows_of(self, subjects: Sequence[str]) -> Rows:
        """Places of the subjects' cases among those of the cohort: subject by subject, each in the order of visits."""
        parts = [self._rows[s] for s in subjects]
        return np.concatenate(parts) if parts else np.zeros(0, np.intp)

    def read_cases(self, table: str, column: str, rows: Rows) -> Floats:
        """A column of some cases `[rows]`, NaN where unknown; at the level of the visit.

        Raises:
            PolytaskError: a cell among them is no number.
        """
        values = self._parse(column)
        if odd := self._odd.get(column):
            for row in [r for r in rows.tolist() if r in odd]:
                found = column_value(
                    self._cohort, (self._cohort.cases[row],), table, column
                )  # or says what is odd
                values[row] = np.nan if found is None else float(found)
        return values[rows]

    def read_subjects(self, table: str, column: str, subjects: Sequence[str]) -> Floats:
        """A column that belongs to the subject `[subjects]`: the first known cell of its cases, NaN where unknown."""
        rows = self.rows_of(subjects)
        if rows.size == len(subjects):  # a case each
            return self.read_cases(table, column, rows)
        found = np.full(len(subjects), np.nan)
        counts = np.array([len(self._rows[s]) for s in subjects])
        owner = np.repeat(np.arange(len(subjects)), counts)
        values = self.read_cases(table, column, rows)
        known = np.flatnonzero(~np.isnan(values))[::-1]  # backwards: the first known one is written last
        found[owner[known]] = values[known]
        return found

    def _parse(self, column: str) -> Floats:
        if column in self._found:
            return self._found[column]
        values = np.full(len(self._cohort.cases), np.nan)
        for row, case in enumerate(self._cohort.cases):
            cell = case.cells.get(column)
            if cell is not None:
                try:
                    values[row] = read_decimal(cell)
                except OddCell:
                    self._odd.setdefault(column, set()).add(row)
        self._found[column] = values
        return values
