"""Check that every cell of a table input or a target has a value that the header allows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import Header
from polytask.errors import Problem
from polytask.kinds import KINDS, cell_readers
from polytask.kinds.kind import CellParser


def check_cell_values(evidence: Evidence) -> Iterator[Problem]:
    """Find cells of table inputs and targets that cannot be read."""
    for column, parse in list_cell_parsers(evidence.header).items():
        for case in evidence.cohort.cases:
            cell = case.cells.get(column)
            if cell is None:
                continue
            try:
                parse(cell)
            except cell_readers.UnreadableCell as odd:
                place = (case.row, case.subject, column)
                yield evidence.make_problem("error", odd.code, f"{column}: {odd.message}", odd.remedy, *place)


def list_cell_parsers(header: Header) -> dict[str, CellParser]:
    """Map each column to the function that parses its cells; columns that name files are left out."""
    parsers: dict[str, CellParser] = {}
    for table in header.tables.values():
        for column, spec in table.columns.items():
            if spec.type == "number":
                parsers[column] = partial(cell_readers.read_number, bounds=spec.bounds)
            elif spec.values is not None:
                parsers[column] = partial(cell_readers.find_word_index, words=spec.values)
    for name, task in header.tasks.items():
        parsers |= KINDS[task.kind].list_parsers(task, task.column or name)
    return parsers
