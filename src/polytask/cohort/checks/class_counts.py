"""Check that there is enough to learn from: rare classes, events, labels and structures, columns that never vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import Header, MaskSpec, PooledSpec
from polytask.cohort.strata import list_needed_strata, list_strata
from polytask.errors import PolytaskError, Problem
from polytask.kinds.header_words import is_same_word
from polytask.kinds.kind import TrainNeed


def check_class_counts(evidence: Evidence) -> Iterator[Problem]:
    """Find classes, events and labels with too few subjects outside the test part."""
    cohort = evidence.cohort
    if not cohort.header.tasks:
        yield evidence.make_problem(
            "error", "no-task", "the header has no task", "add a task", file="cohort.yaml"
        )
    subjects = cohort.list_split_subjects("train")
    if not subjects:
        yield evidence.make_problem(
            "error", "no-train", "every subject is in the test part", "move some subjects to the train part"
        )
        return
    try:
        strata = list_strata(cohort, subjects)
    except PolytaskError:
        return  # a cell cannot be read; the check of cells reports it
    counts = Counter(stratum for own in strata.values() for stratum in own)
    for stratum, need in list_needed_strata(cohort.header):
        count = counts[stratum]
        code = "rare-class" if stratum.word else "nothing-known"
        message = (
            f"task {stratum.task!r}: {need.what} in {count} subject{'s' * (count != 1)} outside the test part"
        )
        level: Literal["error", "warning"] = "error" if count < 2 else "warning"
        # Fewer than 2 is an error: the fold that holds out the only subject has none left to train on.
        if count < max(2, evidence.folds):
            least = "expected 2 or more" if count < 2 else f"fewer than the {evidence.folds} folds"
            yield evidence.make_problem(level, code, f"{message}, {least}", need.remedy, column=need.column)


def check_constant_columns(evidence: Evidence) -> Iterator[Problem]:
    """Find columns whose known cells are all the same, and columns without any known cell."""
    header = evidence.header
    columns = {c: False for table in header.tables.values() for c in table.columns}
    columns |= {need.column: True for need in _list_any_answer_needs(header)}
    present = set(evidence.table.columns)
    for column, target in columns.items():
        if column not in present:
            continue
        first, several, constant = _find_column_change(
            c.cells[column] for c in evidence.cohort.cases if column in c.cells and not c.test
        )
        if first is None and not target:
            yield evidence.make_problem(
                "warning",
                "empty-column",
                f"{column}: no cell is filled outside the test part",
                "remove it from the header",
                column=column,
            )
        elif several and constant:
            yield evidence.make_problem(
                "error" if target else "warning",
                "constant-column",
                f"{column}: every known cell is {first!r}",
                "there is nothing to learn from it: remove it from the header",
                column=column,
            )


def _list_any_answer_needs(header: Header) -> list[TrainNeed]:
    """List the needs of pooled tasks that any known answer meets (e.g. regression).

    No check of classes covers these tasks, so that only the check of constant columns can notice that all answers
    are equal.
    """
    pooled = {name for name, task in header.tasks.items() if isinstance(task, PooledSpec)}
    return [
        need for stratum, need in list_needed_strata(header) if stratum.task in pooled and not stratum.word
    ]


def _find_column_change(cells: Iterator[str]) -> tuple[str | None, bool, bool]:
    """Return (first known cell, whether there is a second, whether all say the same); stops at the first change."""
    first, several = next(cells, None), False
    for cell in cells:
        several = True
        if not is_same_word(cell, str(first)):
            return first, several, False
    return first, several, True


def check_rare_structures(evidence: Evidence) -> Iterator[Problem]:
    """Find structures that occur in fewer subjects than there are folds."""
    for name, task in evidence.header.tasks.items():
        if not isinstance(task, MaskSpec):
            continue
        file_cells = [
            u
            for u in evidence.file_cells
            if u.owner == name and u.role == "mask" and u.key in evidence.image_facts
        ]
        test = {c.subject for c in evidence.cohort.cases if c.test}
        subjects_by_structure: dict[str, set[str]] = {structure: set() for structure in task.names}
        for file_cell in file_cells:
            values = evidence.image_facts[file_cell.key].values
            for index, structure in enumerate(task.names):
                if (
                    file_cell.subject in test
                    or not values
                    or (file_cell.part and file_cell.part != structure)
                ):
                    continue
                plane = values[0] if task.labels or file_cell.part or len(values) <= index else values[index]
                inside = plane & set(task.values[structure]) if task.labels else plane - {0}
                if inside:
                    subjects_by_structure[structure].add(file_cell.subject)
        for structure, subjects in subjects_by_structure.items() if file_cells else []:
            if len(subjects) < evidence.folds:
                count = f"{len(subjects)} subject{'s' * (len(subjects) != 1)}"
                message = f"task {name!r}: structure {structure!r} in {count} outside the test part"
                remedy = f"fewer than the {evidence.folds} folds: add subjects with it, or remove it from the header"
                yield evidence.make_problem(
                    "warning", "rare-structure", message, remedy, column=task.column or name
                )
