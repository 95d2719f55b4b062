"""Targets and inputs of a table beside images: joined by case, typed, added to the rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from polytask.cohort.header import Column, TableInput
from polytask.cohort.importers.draft import Draft, examples
from polytask.cohort.importers.found import Found
from polytask.cohort.importers.infer import inferred_tasks, stated_tasks
from polytask.cohort.importers.kinds import input_column
from polytask.cohort.importers.options import Ask
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.survival import survival_pairs
from polytask.cohort.importers.words import SPLIT
from polytask.cohort.words import number
from polytask.errors import PolytaskError

TABLE = "clinic"
"""What the table input is called."""


@dataclass(frozen=True)
class Chosen:
    """What a person stated: tasks, columns that are input, columns to leave out."""

    tasks: Sequence[Ask] = ()
    inputs: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


def add_targets(draft: Draft, sheet: Sheet, cases: Sequence[str], chosen: Chosen) -> None:
    """Join a sheet to a draft by case: `cases[i]` is the case of row i. Rows without an image are left out."""
    by_case = {row["case"]: i for i, row in enumerate(sheet.rows)}
    if len(by_case) < len(sheet.rows):
        seen: set[str] = set()
        twice = next(r["case"] for r in sheet.rows if r["case"] in seen or seen.add(r["case"]))  # type: ignore[func-returns-value]
        raise PolytaskError(f"{sheet.path}: case {twice!r} has two rows; expected one; remove one")
    matched = [case for case in cases if case in by_case]
    if not matched:
        raise PolytaskError(
            f"{sheet.path}: no case has an image (table: {examples(by_case, 3)}; images: {examples(cases, 3)}); "
            "expected the names before _0000, leading zeros too; mend the first column"
        )
    draft.notes += sheet.notes
    if spare := [c for c in by_case if c not in set(cases)]:
        draft.notes.append(
            f"{sheet.path.name}: {len(spare)} rows have no image and are left out: {examples(spare)}"
        )
    if blank := [c for c in cases if c not in by_case]:
        draft.notes.append(
            f"{len(blank)} cases have no row in {sheet.path.name} (unknown): {examples(blank)}"
        )
    check_columns(sheet, (*chosen.inputs, *chosen.skip))
    found = Found(used={*chosen.inputs, *chosen.skip})
    stated_tasks(sheet, chosen.tasks, found)
    survival_pairs(sheet, found)
    inferred_tasks(sheet, [c for c in sheet.columns if c not in found.used], found)
    if taken := sorted(set(found.tasks) & {*draft.tasks, *draft.inputs}):
        raise PolytaskError(
            f"{sheet.path}: column {taken[0]!r} has the name of the images or masks; rename the column"
        )
    draft.tasks |= found.tasks
    draft.notes += found.notes
    add_inputs(draft, sheet, chosen.inputs)
    draft.visits = sheet.visits
    cells = found.cells | {c: sheet.cells(c) for c in chosen.inputs}
    for row, case in zip(draft.rows, cases, strict=True):
        index = by_case.get(case)
        if index is not None:
            row |= identity(sheet.rows[index], sheet)
            row |= {c: column[index] for c, column in cells.items()}
    if draft.visits and (lost := [c for c in cases if c not in by_case]):
        draft.rows[:] = [row for row, case in zip(draft.rows, cases, strict=True) if case in by_case]
        draft.notes.append(
            f"{len(lost)} images have no row that names their visit and are left out: {examples(lost)}"
        )
    share_split(draft)


def identity(row: dict[str, str], sheet: Sheet) -> dict[str, str]:
    """Subject, visit, day, site and split of a row, as our table writes them."""
    found = {k: row[k] for k in ("subject", "visit", "day", "site") if row.get(k)}
    if "day" in found and number(found["day"]) is None:
        raise PolytaskError(f"{sheet.path}: day {found['day']!r} is not a number; expected days; mend it")
    if word := row.get("split", ""):
        if word.lower() not in SPLIT:
            raise PolytaskError(
                f"{sheet.path}, column {sheet.identity['split']}: {word!r} is neither train nor test; "
                "expected train, validation or test; rename the word or the column"
            )
        found["split"] = SPLIT[word.lower()]
    return found


def share_split(draft: Draft) -> None:
    """A subject with a test case is a test subject with all its cases."""
    test = {row["subject"] for row in draft.rows if row.get("split") == "test"}
    moved = [row for row in draft.rows if row["subject"] in test and row.get("split") != "test"]
    for row in moved:
        row["split"] = "test"
    if moved:
        names = dict.fromkeys(str(row["subject"]) for row in moved)
        draft.notes.append(
            f"{len(moved)} training cases belong to test subjects and became test: {examples(names)}"
        )


def add_inputs(draft: Draft, sheet: Sheet, inputs: Sequence[str]) -> None:
    """Columns that the model reads."""
    columns: dict[str, Column] = {}
    for name in inputs:
        column, why = input_column(sheet, name)
        draft.notes.append(f"column {name!r}: {'input, ' if column else 'left out, '}{why}")
        if column is not None:
            columns[name] = column
    if columns:
        draft.inputs[TABLE] = TableInput(kind="table", columns=columns)


def check_columns(sheet: Sheet, columns: Sequence[str]) -> None:
    """Refuse a stated column that the table lacks."""
    for column in columns:
        if column not in sheet.columns:
            raise PolytaskError(
                f"{sheet.path}: no column {column!r}; use one of {examples(sheet.columns, 20)}"
            )
