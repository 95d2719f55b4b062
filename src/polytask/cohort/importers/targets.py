"""Join a table of targets and inputs to the images of a draft: by case, with inferred tasks and typed columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from polytask.cohort.header import Column, SegmentationSpec, TableInput
from polytask.cohort.importers.choose_columns import REST, expand_patterns
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.draft import Draft, examples
from polytask.cohort.importers.found import Found
from polytask.cohort.importers.id_hints import explain_missing
from polytask.cohort.importers.infer import (
    inferred_tasks,
    is_bound,
    leave_reserved,
    read_numbers,
    set_aside,
    stated_tasks,
)
from polytask.cohort.importers.kinds import input_column
from polytask.cohort.importers.known_structures import read_known, write_known
from polytask.cohort.importers.losses import Loss, report_losses
from polytask.cohort.importers.options import Ask, Source
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.survival import survival_pairs
from polytask.cohort.importers.words import SPLIT
from polytask.errors import PolytaskError, nearest
from polytask.kinds.words import number

_TRAIN = ("train", "training")
TABLE = "clinic"
"""Name of the table input in the header."""


@dataclass(frozen=True)
class Chosen:
    """What a person stated about a table of targets.

    Args:
        tasks: stated tasks. inputs: columns or patterns that are input. skip: columns or patterns to leave out.
        units: task → unit. accepted: tasks that may lose many cells.
        known: for each mask, the column that lists its drawn structures.
    """

    tasks: Sequence[Ask] = ()
    inputs: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    accepted: Collection[str] = ()
    known: Sequence[Source] = ()


def add_targets(draft: Draft, sheet: Sheet, cases: Sequence[str], chosen: Chosen) -> None:
    """Join a sheet to a draft by case; rows of the sheet without an image are left out.

    Args:
        cases: the case of each row of the draft, in order.
    """
    by_case = {row["case"]: i for i, row in enumerate(sheet.rows)}
    if len(by_case) < len(sheet.rows):
        seen: set[str] = set()
        twice = next(r["case"] for r in sheet.rows if r["case"] in seen or seen.add(r["case"]))  # type: ignore[func-returns-value]
        raise PolytaskError(f"{sheet.path}: case {twice!r} has two rows; expected one; remove one")
    matched = [case for case in cases if case in by_case]
    if not matched:
        raise PolytaskError(
            f"{sheet.path}: no case has an image (table: {explain_missing(by_case, cases)}; images: "
            f"{examples(cases, 3)}); expected the names before _0000, leading zeros too; mend the first column"
        )
    draft.notes += sheet.notes
    if spare := [c for c in by_case if c not in set(cases)]:
        draft.notes.append(
            f"{sheet.path.name}: {len(spare)} rows have no image and are left out: {explain_missing(spare, cases)}"
        )
    if blank := [c for c in cases if c not in by_case]:
        draft.notes.append(
            f"{len(blank)} cases have no row in {sheet.path.name} (unknown): {explain_missing(blank, by_case)}"
        )
    note_split(draft, sheet)
    inputs = expand_patterns(sheet.columns, chosen.inputs, sheet.path, "--input")
    left = expand_patterns(sheet.columns, chosen.skip, sheet.path, "--skip")
    found = Found(used={*inputs, *left}, units=chosen.units, accepted=chosen.accepted)
    known = _read_masks_known(draft, sheet, chosen.known, found)
    # From certain to guessed: stated tasks, survival pairs, columns that describe a person, then one task per column.
    # Each step marks its columns as used, so that no column becomes two things.
    stated_tasks(sheet, chosen.tasks, found)
    survival_pairs(sheet, found)
    leave_reserved(sheet, found)
    if REST in chosen.inputs:
        inputs += [c for c in sheet.columns if c not in found.used]
        found.used |= set(inputs)
    set_aside(sheet, sheet.columns, found, inputs=not chosen.tasks)
    inferred_tasks(sheet, [c for c in sheet.columns if c not in found.used], found)
    if taken := sorted(set(found.tasks) & {*draft.tasks, *draft.inputs}):
        raise PolytaskError(
            f"{sheet.path}: column {taken[0]!r} has the name of the images or masks; rename the column"
        )
    draft.tasks |= found.tasks
    draft.column_notes += found.notes
    draft.notes += report_losses(found.losses, chosen.accepted, str(sheet.path))
    cells = found.cells | add_inputs(draft, sheet, [*inputs, *found.inputs])
    draft.visits = sheet.visits
    for name, drawn in known.items():
        write_known(draft.rows, name, [drawn[by_case[c]] if c in by_case else "" for c in cases])
    for row, case in zip(draft.rows, cases, strict=True):
        index = by_case.get(case)
        if index is not None:
            row |= identity(sheet.rows[index], sheet)
            row.update((c, column[index]) for c, column in cells.items() if column[index])
    if draft.visits and (lost := [c for c in cases if c not in by_case]):
        draft.rows[:] = [row for row, case in zip(draft.rows, cases, strict=True) if case in by_case]
        draft.notes.append(
            f"{len(lost)} images have no row that names their visit and are left out: {examples(lost)}"
        )
    share_split(draft)


def _read_masks_known(
    draft: Draft, sheet: Sheet, stated: Sequence[Source], found: Found
) -> dict[str, list[str | None]]:
    """Map each mask to its drawn structures per row of the sheet; a column `MASK_known` need not be stated."""
    masks = {name: task for name, task in draft.tasks.items() if isinstance(task, SegmentationSpec)}
    named = {source.name for source in stated}
    free = [name for name in masks if name not in named and f"{name}_known" in sheet.columns]
    known: dict[str, list[str | None]] = {}
    for source in [*stated, *(Source(name, f"{name}_known") for name in free)]:
        if source.name not in masks:
            raise PolytaskError(
                f"--known {source.name}: no mask is called so; expected one; {nearest(source.name, list(masks))}"
            )
        known[source.name] = read_known(sheet, source, masks[source.name], found)
        found.used.add(source.source)
        line = f"task {source.name!r}: which structures are drawn, from {source.source!r}"
        draft.column_notes.append(ColumnNote("task", "known", line))
    return known


def identity(row: dict[str, str], sheet: Sheet) -> dict[str, str]:
    """Return subject, visit, day, site and split of a row, as our own tables write them."""
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


def note_split(draft: Draft, sheet: Sheet) -> None:
    """Add a note that says what each word of the split column became."""
    counts = Counter(row["split"] for row in sheet.rows if row.get("split"))
    if counts:
        parts = [f"{word!r} ({n} rows) = {SPLIT.get(word.lower(), word)}" for word, n in counts.items()]
        again = any(SPLIT.get(w.lower()) == "train" and w.lower() not in _TRAIN for w in counts)
        why = "; folds for tuning and testing are drawn from all that is train" if again else ""
        draft.notes.append(f"split, from column {sheet.identity['split']!r}: {', '.join(parts)}{why}")


def share_split(draft: Draft) -> None:
    """Move all cases of a subject to the test part if one of them is a test case."""
    # A subject in both parts would let the model be tested on patients that it has seen.
    test = {row["subject"] for row in draft.rows if row.get("split") == "test"}
    moved = [row for row in draft.rows if row["subject"] in test and row.get("split") != "test"]
    for row in moved:
        row["split"] = "test"
    if moved:
        names = dict.fromkeys(str(row["subject"]) for row in moved)
        draft.notes.append(
            f"{len(moved)} training cases belong to test subjects and became test: {examples(names)}"
        )


def add_inputs(draft: Draft, sheet: Sheet, inputs: Sequence[str]) -> dict[str, list[str]]:
    """Make columns the table input of a draft. Returns column → its cells, one per row of the sheet."""
    columns: dict[str, Column] = {}
    cells: dict[str, list[str]] = {}
    for name in dict.fromkeys(inputs):
        column, why = input_column(sheet, name)
        if column is None:
            line = f"column {name!r}: left out, {why}"
            draft.column_notes.append(ColumnNote("left out", why, line))
            continue
        columns[name], cells[name] = column, sheet.cells(name)
        lost = ""
        if column.type == "number" and sheet.parse(name).odd:
            loss = Loss(name, "a number with a dot")
            cells[name] = read_numbers(sheet, name, loss)
            bounds = [cell for cell in sheet.parse(name).odd if is_bound(cell)]
            if loss.lost:
                lost = f"; {loss.lost} cells are no numbers and unknown ({'; '.join(loss.examples)})"
            if bounds:
                lost += f"; {len(bounds)} cells are bounds ({examples(bounds, 3)}), see `polytask check`"
        became = "proposal" if lost else "input"
        draft.column_notes.append(ColumnNote(became, why, f"column {name!r}: input, {why}{lost}"))
    if columns:
        draft.inputs[TABLE] = TableInput(kind="table", columns=columns)
    return cells
