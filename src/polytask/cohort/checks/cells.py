"""Cells: every one of an input or a target must say something the header knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from polytask.cohort import cells
from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import Dose, Header, Multilabel, Regression, Segmentation, Survival
from polytask.errors import Problem

Parser = Callable[[str], object]


def check_cells(evidence: Evidence) -> Iterator[Problem]:
    """Odd values of table inputs and targets."""
    for column, parse in parsers(evidence.header).items():
        for case in evidence.cohort.cases:
            cell = case.cells.get(column)
            if cell is None:
                continue
            try:
                parse(cell)
            except cells.OddCell as odd:
                place = (case.row, case.subject, column)
                yield evidence.problem("error", odd.code, f"{column}: {odd.message}", odd.remedy, *place)


def parsers(header: Header) -> dict[str, Parser]:
    """Column → the function that reads its cells; columns that name files are left out."""
    found: dict[str, Parser] = {}
    for table in header.tables.values():
        for column, spec in table.columns.items():
            if spec.type == "number":
                found[column] = partial(cells.read_number, bounds=spec.bounds)
            elif spec.values is not None:
                found[column] = partial(cells.word, words=spec.values)
    for name, task in header.tasks.items():
        stem = task.column or name
        if isinstance(task, Segmentation):
            found[f"{stem}_known"] = partial(cells.names, known=task.names)
        elif isinstance(task, Survival):
            found[f"{stem}_time"] = cells.time
            found[f"{stem}_event"] = partial(cells.zero_or_one, meaning=cells.EVENT)
        elif isinstance(task, Multilabel):
            found |= {
                f"{stem}.{label}": partial(cells.zero_or_one, meaning=cells.PRESENT) for label in task.labels
            }
        elif isinstance(task, Regression):
            found[stem] = partial(cells.read_number, bounds=task.bounds)
        elif not isinstance(task, Dose):
            found[stem] = partial(cells.choose_class, task=task)
    return found
