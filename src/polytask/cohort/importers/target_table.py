"""Join a table of targets and inputs to the images of a draft: by case, with inferred tasks and typed columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from polytask.cohort.header import Column, MaskSpec, TableInput
from polytask.cohort.importers.choose_columns import ALL_OTHER_COLUMNS, expand_column_patterns
from polytask.cohort.importers.cohort_draft import CohortDraft, list_examples
from polytask.cohort.importers.column_kinds import make_input_column
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.drawn_structures import read_drawn_structures, write_drawn_structures
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import SPLIT_WORDS
from polytask.cohort.importers.id_hints import explain_missing_ids
from polytask.cohort.importers.import_options import FileSource, StatedTask
from polytask.cohort.importers.imported_tasks import ImportedTasks
from polytask.cohort.importers.infer_tasks import (
    add_inferred_tasks,
    add_stated_tasks,
    is_bound_cell,
    leave_out_reserved,
    read_number_cells,
    set_aside_non_targets,
)
from polytask.cohort.importers.lost_cells import LostCells, report_lost_cells
from polytask.cohort.importers.survival_tasks import add_survival_pairs
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds.header_words import parse_cell_number

_TRAIN_WORDS = ("train", "training")
TABLE_INPUT = "clinic"
"""Name of the table input in the header."""


@dataclass(frozen=True)
class TargetOptions:
    """What a person stated about a table of targets.

    Args:
        tasks: stated tasks. inputs: columns or patterns that are input. skip: columns or patterns to leave out.
        units: task → unit. accepted: tasks that may lose many cells.
        known: for each mask, the column that lists its drawn structures.
    """

    tasks: Sequence[StatedTask] = ()
    inputs: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    accepted: Collection[str] = ()
    known: Sequence[FileSource] = ()


def add_targets(draft: CohortDraft, sheet: ForeignSheet, cases: Sequence[str], chosen: TargetOptions) -> None:
    """Join a sheet to a draft by case; rows of the sheet without an image are left out.

    Args:
        cases: the case of each row of the draft, in order.
    """
    by_case = _match_rows_to_cases(draft, sheet, cases)
    note_split(draft, sheet)
    inputs = expand_column_patterns(sheet.columns, chosen.inputs, sheet.path, "--input")
    skipped = expand_column_patterns(sheet.columns, chosen.skip, sheet.path, "--skip")
    imported = ImportedTasks(used={*inputs, *skipped}, units=chosen.units, accepted=chosen.accepted)
    known = _read_drawn_columns(draft, sheet, chosen.known, imported)
    # From certain to guessed: stated tasks, survival pairs, columns that describe a person, then one task per column.
    # Each step marks its columns as used, so that no column becomes two things.
    add_stated_tasks(sheet, chosen.tasks, imported)
    add_survival_pairs(sheet, imported)
    leave_out_reserved(sheet, imported)
    if ALL_OTHER_COLUMNS in chosen.inputs:
        inputs += [c for c in sheet.columns if c not in imported.used]
        imported.used |= set(inputs)
    set_aside_non_targets(sheet, sheet.columns, imported, inputs=not chosen.tasks)
    add_inferred_tasks(sheet, [c for c in sheet.columns if c not in imported.used], imported)
    if taken := sorted(set(imported.tasks) & {*draft.tasks, *draft.inputs}):
        raise PolytaskError(
            f"{sheet.path}: column {taken[0]!r} has the name of the images or masks; rename the column"
        )
    draft.tasks |= imported.tasks
    draft.column_notes += imported.notes
    draft.notes += report_lost_cells(imported.losses, chosen.accepted, str(sheet.path))
    cells = imported.cells | add_table_inputs(draft, sheet, [*inputs, *imported.inputs])
    draft.visits = sheet.visits
    for name, drawn in known.items():
        write_drawn_structures(draft.rows, name, [drawn[by_case[c]] if c in by_case else "" for c in cases])
    for row, case in zip(draft.rows, cases, strict=True):
        index = by_case.get(case)
        if index is not None:
            row |= read_row_identity(sheet.rows[index], sheet)
            row.update((c, column[index]) for c, column in cells.items() if column[index])
    if draft.visits and (lost := [c for c in cases if c not in by_case]):
        draft.rows[:] = [row for row, case in zip(draft.rows, cases, strict=True) if case in by_case]
        draft.notes.append(
            f"{len(lost)} images have no row that names their visit and are left out: {list_examples(lost)}"
        )
    share_test_split(draft)


def _match_rows_to_cases(draft: CohortDraft, sheet: ForeignSheet, cases: Sequence[str]) -> dict[str, int]:
    """Map each case of the sheet to its row; notes say which cases are only in the sheet or only in the draft.

    Raises:
        PolytaskError: a case has two rows, or no case of the sheet is in the draft.
    """
    by_case = {row["case"]: i for i, row in enumerate(sheet.rows)}
    if len(by_case) < len(sheet.rows):
        first = {row["case"]: i for i, row in reversed(list(enumerate(sheet.rows)))}
        twice = next(row["case"] for i, row in enumerate(sheet.rows) if first[row["case"]] < i)
        raise PolytaskError(f"{sheet.path}: case {twice!r} has two rows; expected one; remove one")
    if not any(case in by_case for case in cases):
        raise PolytaskError(
            f"{sheet.path}: no case has an image (table: {explain_missing_ids(by_case, cases)}; images: "
            f"{list_examples(cases, 3)}); expected the names before _0000, also leading zeros; correct the first "
            "column"
        )
    draft.notes += sheet.notes
    if spare := [c for c in by_case if c not in set(cases)]:
        draft.notes.append(
            f"{sheet.path.name}: {len(spare)} rows have no image and are left out: {explain_missing_ids(spare, cases)}"
        )
    if blank := [c for c in cases if c not in by_case]:
        draft.notes.append(
            f"{len(blank)} cases have no row in {sheet.path.name} (unknown): {explain_missing_ids(blank, by_case)}"
        )
    return by_case


def _read_drawn_columns(
    draft: CohortDraft, sheet: ForeignSheet, stated: Sequence[FileSource], imported: ImportedTasks
) -> dict[str, list[str | None]]:
    """Map each mask to its drawn structures per row of the sheet; a column `MASK_known` need not be stated."""
    masks = {name: task for name, task in draft.tasks.items() if isinstance(task, MaskSpec)}
    named = {source.name for source in stated}
    free = [name for name in masks if name not in named and f"{name}_known" in sheet.columns]
    known: dict[str, list[str | None]] = {}
    for source in [*stated, *(FileSource(name, f"{name}_known") for name in free)]:
        if source.name not in masks:
            raise PolytaskError(
                f"--known {source.name}: no mask has this name; {suggest_word(source.name, list(masks))}"
            )
        known[source.name] = read_drawn_structures(sheet, source, masks[source.name], imported)
        imported.used.add(source.source)
        line = f"task {source.name!r}: which structures are drawn, from {source.source!r}"
        draft.column_notes.append(ColumnNote("task", "known", line))
    return known


def read_row_identity(row: dict[str, str], sheet: ForeignSheet) -> dict[str, str]:
    """Return subject, visit, day, site and split of a row, as our own tables write them."""
    identity = {k: row[k] for k in ("subject", "visit", "day", "site") if row.get(k)}
    if "day" in identity and parse_cell_number(identity["day"]) is None:
        raise PolytaskError(
            f"{sheet.path}: day {identity['day']!r} is not a number; expected days; correct it"
        )
    if word := row.get("split", ""):
        if word.lower() not in SPLIT_WORDS:
            raise PolytaskError(
                f"{sheet.path}, column {sheet.identity['split']}: {word!r} is neither train nor test; "
                "expected train, validation or test; rename the word or the column"
            )
        identity["split"] = SPLIT_WORDS[word.lower()]
    return identity


def note_split(draft: CohortDraft, sheet: ForeignSheet) -> None:
    """Add a note that says what each word of the split column became."""
    counts = Counter(row["split"] for row in sheet.rows if row.get("split"))
    if counts:
        parts = [f"{word!r} ({n} rows) = {SPLIT_WORDS.get(word.lower(), word)}" for word, n in counts.items()]
        again = any(SPLIT_WORDS.get(w.lower()) == "train" and w.lower() not in _TRAIN_WORDS for w in counts)
        why = "; Polytask draws new folds from all rows that are train" if again else ""
        draft.notes.append(f"split, from column {sheet.identity['split']!r}: {', '.join(parts)}{why}")


def share_test_split(draft: CohortDraft) -> None:
    """Move all cases of a subject to the test part if one of them is a test case."""
    # A subject in both parts would let the model be tested on patients that it has seen.
    test = {row["subject"] for row in draft.rows if row.get("split") == "test"}
    moved = [row for row in draft.rows if row["subject"] in test and row.get("split") != "test"]
    for row in moved:
        row["split"] = "test"
    if moved:
        names = dict.fromkeys(str(row["subject"]) for row in moved)
        draft.notes.append(
            f"{len(moved)} training cases belong to test subjects and became test: {list_examples(names)}"
        )


def add_table_inputs(draft: CohortDraft, sheet: ForeignSheet, inputs: Sequence[str]) -> dict[str, list[str]]:
    """Make columns the table input of a draft. Returns column → its cells, one per row of the sheet."""
    columns: dict[str, Column] = {}
    cells: dict[str, list[str]] = {}
    for name in dict.fromkeys(inputs):
        column, why = make_input_column(sheet, name)
        if column is None:
            line = f"column {name!r}: left out, {why}"
            draft.column_notes.append(ColumnNote("left out", why, line))
            continue
        columns[name], cells[name] = column, sheet.cells(name)
        lost = ""
        if column.type == "number" and sheet.parse(name).odd:
            loss = LostCells(name, "a number with a dot")
            cells[name] = read_number_cells(sheet, name, loss)
            bounds = [cell for cell in sheet.parse(name).odd if is_bound_cell(cell)]
            if loss.lost:
                lost = f"; {loss.lost} cells are not numbers and become unknown ({'; '.join(loss.examples)})"
            if bounds:
                lost += f"; {len(bounds)} cells are bounds ({list_examples(bounds, 3)}), see `polytask check`"
        became = "proposal" if lost else "input"
        draft.column_notes.append(ColumnNote(became, why, f"column {name!r}: input, {why}{lost}"))
    if columns:
        draft.inputs[TABLE_INPUT] = TableInput(kind="table", columns=columns)
    return cells
