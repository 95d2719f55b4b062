"""Holds the numeric columns of table inputs as arrays: every cell is parsed once, even if many folds read it.

Only plain numbers are parsed here; `column_value` decides what any other cell means.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.cohort.cell_values import column_value
from polytask.cohort.cohort import Cohort
from polytask.kinds.cell_readers import UnreadableCell, read_decimal

CaseRows = npt.NDArray[np.intp]


class ParsedColumns:
    """The numeric columns of a cohort's table inputs; each is parsed when it is first read."""

    def __init__(self, cohort: Cohort) -> None:
        self._cohort = cohort
        # By identity: a case holds a dict of its cells, so it is no key of a dict itself.
        place = {id(case): k for k, case in enumerate(cohort.cases)}
        self._rows = {s: np.array([place[id(c)] for c in cases]) for s, cases in cohort.subjects.items()}
        self._values: dict[str, Floats] = {}
        self._odd: dict[str, set[int]] = {}

    def find_rows(self, subjects: Sequence[str]) -> CaseRows:
        """Find the positions of the subjects' cases in the list of all cases, subject by subject, in visit order."""
        parts = [self._rows[s] for s in subjects]
        return np.concatenate(parts) if parts else np.zeros(0, np.intp)

    def read_cases(self, table: str, column: str, rows: CaseRows) -> Floats:
        """Read a visit-level column of some cases: `rows [n]` → values `[n]`, NaN where unknown.

        Raises:
            PolytaskError: one of these cells is not a number.
        """
        values = self._parse(column)
        # Odd cells are judged only when they are read: one in the test part must not stop the planning of a fold.
        if odd := self._odd.get(column):
            for row in [r for r in rows.tolist() if r in odd]:
                # Raises with a message for people, unless the header reads the word as unknown.
                value = column_value(self._cohort, (self._cohort.cases[row],), table, column)
                values[row] = np.nan if value is None else float(value)
        return values[rows]

    def read_subjects(self, table: str, column: str, subjects: Sequence[str]) -> Floats:
        """Read a subject-level column `[subjects]`: the first known cell among the subject's cases, NaN if none is."""
        rows = self.find_rows(subjects)
        # As many cases as subjects means one case each, since every subject has at least one.
        if rows.size == len(subjects):
            return self.read_cases(table, column, rows)
        subject_values = np.full(len(subjects), np.nan)
        counts = np.array([len(self._rows[s]) for s in subjects])
        owner = np.repeat(np.arange(len(subjects)), counts)
        values = self.read_cases(table, column, rows)
        # Backwards, since a later assignment to the same subject wins: the first known cell is written last.
        known = np.flatnonzero(~np.isnan(values))[::-1]
        subject_values[owner[known]] = values[known]
        return subject_values

    def _parse(self, column: str) -> Floats:
        if column in self._values:
            return self._values[column]
        values = np.full(len(self._cohort.cases), np.nan)
        for row, case in enumerate(self._cohort.cases):
            cell = case.cells.get(column)
            if cell is not None:
                try:
                    values[row] = read_decimal(cell)
                except UnreadableCell:
                    self._odd.setdefault(column, set()).add(row)
        self._values[column] = values
        return values
