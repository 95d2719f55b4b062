"""Enough of everything: classes, events and labels that are too rare, columns that never vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import Regression, Segmentation
from polytask.cohort.marks import marks, needed
from polytask.cohort.words import number
from polytask.errors import PolytaskError, Problem


def check_counts(evidence: Evidence) -> Iterator[Problem]:
    """Classes, events and labels with too few subjects outside the test part."""
    cohort = evidence.cohort
    if not cohort.header.tasks:
        yield evidence.problem(
            "error", "no-task", "the header asks nothing", "add a task", file="cohort.yaml"
        )
    subjects = cohort.in_split("train")
    if not subjects:
        yield evidence.problem(
            "error", "no-train", "every subject is in the test part", "leave some subjects to train"
        )
        return
    try:
        found = marks(cohort, subjects)
    except PolytaskError:
        return  # an odd cell, named by the check of cells
    counts = Counter(mark for own in found.values() for mark in own)
    for need in needed(cohort.header):
        count = counts[need.mark]
        code = "rare-class" if need.mark.word else "nothing-known"
        message = f"task {need.mark.task!r}: {need.what} in {count} subject{'s' * (count != 1)} outside the test part"
        level: Literal["error", "warning"] = "error" if count < 2 else "warning"
        if count < max(2, evidence.folds):
            least = "expected 2 or more" if count < 2 else f"fewer than the {evidence.folds} folds"
            yield evidence.problem(level, code, f"{message}, {least}", need.remedy, column=need.column)


def check_constant(evidence: Evidence) -> Iterator[Problem]:
    """Columns that say the same everywhere, or nothing."""
    header = evidence.header
    columns = {c: False for table in header.tables.values() for c in table.columns}
    columns |= {
        task.column or name: True for name, task in header.tasks.items() if isinstance(task, Regression)
    }
    for column, target in columns.items():
        if column not in evidence.table.columns:
            continue
        cells = [c.cells[column] for c in evidence.cohort.cases if column in c.cells and not c.test]
        values = {number(cell) if number(cell) is not None else cell for cell in cells}
        if not cells and not target:
            yield evidence.problem(
                "warning",
                "empty-column",
                f"{column}: no cell is filled outside the test part",
                "remove it from the header",
                column=column,
            )
        elif len(values) == 1 and len(cells) > 1:
            yield evidence.problem(
                "error" if target else "warning",
                "constant-column",
                f"{column}: every known cell is {cells[0]!r}",
                "there is nothing to learn from it: remove it from the header",
                column=column,
            )


def check_structures(evidence: Evidence) -> Iterator[Problem]:
    """Structures that occur in fewer subjects than there are folds."""
    for name, task in evidence.header.tasks.items():
        if not isinstance(task, Segmentation):
            continue
        uses = [u for u in evidence.uses if u.owner == name and u.role == "mask" and u.key in evidence.looks]
        test = {c.subject for c in evidence.cohort.cases if c.test}
        seen: dict[str, set[str]] = {structure: set() for structure in task.names}
        for use in uses:
            values = evidence.looks[use.key].values
            for index, structure in enumerate(task.names):
                if use.subject in test or not values or (use.part and use.part != structure):
                    continue
                plane = values[0] if task.labels or use.part or len(values) <= index else values[index]
                inside = plane & set(task.values[structure]) if task.labels else plane - {0}
                if inside:
                    seen[structure].add(use.subject)
        for structure, subjects in seen.items() if uses else []:
            if len(subjects) < evidence.folds:
                count = f"{len(subjects)} subject{'s' * (len(subjects) != 1)}"
                message = f"task {name!r}: structure {structure!r} in {count} outside the test part"
                remedy = (
                    f"fewer than the {evidence.folds} folds: bring more of it, or remove it from the header"
                )
                yield evidence.problem(
                    "warning", "rare-structure", message, remedy, column=task.column or name
                )
