"""Turn columns of a foreign table into tasks and inputs. Every decision is a note that a person can read and change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.column_kinds import infer_column_level, infer_target_kind, make_input_column
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.flag_columns import group_flag_columns, parse_flag_word, strip_flag_prefix
from polytask.cohort.importers.follow_up import FollowUpColumns
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import (
    DEMOGRAPHIC_NAME,
    looks_like_site,
    make_clean_name,
    order_grade_words,
)
from polytask.cohort.importers.import_options import StatedTask
from polytask.cohort.importers.imported_tasks import ImportedTasks, add_imported_task
from polytask.cohort.importers.lost_cells import LostCells
from polytask.cohort.importers.survival_tasks import add_death_or_follow_up, add_survival_task
from polytask.errors import PolytaskError, suggest_word
from polytask.kinds import KINDS, find_answer_form, find_pooled_kind
from polytask.kinds.cell_readers import UnreadableCell
from polytask.kinds.header_words import RESERVED_COLUMNS, is_same_word, parse_cell_number
from polytask.kinds.kind import CellParser

MAX_SITE_WORDS = 50
"""A column with more different words than this is not taken for a site."""
_BOUND_SIGN = re.compile(r"(<=|>=|[<>≤≥])\s*")


def add_stated_tasks(
    sheet: ForeignSheet, stated_tasks: Sequence[StatedTask], imported: ImportedTasks
) -> None:
    """Add the tasks that a person stated; raises if a column that they need is missing."""
    for stated_task in stated_tasks:
        name = make_clean_name(stated_task.name)
        column = stated_task.column or stated_task.name
        form = find_answer_form(stated_task.kind)
        if form == "time" and len(stated_task.words) > 2:
            for part in stated_task.words:
                _require_task_column(sheet, part, stated_task)
            *start, death, last, status = stated_task.words
            follow_up = FollowUpColumns(death, last, status, *start)
            add_death_or_follow_up(sheet, name, follow_up, imported, stated_task.level)
        elif form == "time":
            pair = (
                (stated_task.words[0], stated_task.words[1])
                if stated_task.words
                else (f"{column}_time", f"{column}_event")
            )
            for part in pair:
                _require_task_column(sheet, part, stated_task)
            add_survival_task(sheet, name, pair, imported, stated_task.level)
        elif form == "labels":
            columns = {w: w if w in sheet.columns else f"{column}.{w}" for w in stated_task.words}
            for part in columns.values():
                _require_task_column(sheet, part, stated_task)
            add_multilabel_task(sheet, name, columns, imported, stated_task.level, "stated")
        else:
            _require_task_column(sheet, column, stated_task)
            words = list(stated_task.words) or sheet.parse(column).words
            add_pooled_task(
                sheet, name, column, stated_task.kind, words, imported, stated_task.level, "stated"
            )


def add_inferred_tasks(sheet: ForeignSheet, columns: Sequence[str], imported: ImportedTasks) -> None:
    """Add classification, multilabel, ordinal and regression tasks by what is in the columns."""
    # Groups of flags first: each flag alone would look like a class of its own.
    free = [c for c in columns if c not in imported.used]
    for start, flags in group_flag_columns(sheet, free).items():
        varied = {
            strip_flag_prefix(c): c
            for c in flags
            if len({parse_flag_word(w) for w in sheet.parse(c).words}) > 1
        }
        if same := [c for c in flags if c not in varied.values()]:
            imported.leave_out(same, "the same in every row")
        if len(varied) > 1:
            add_multilabel_task(
                sheet, make_clean_name(start), varied, imported, "", f"flags that start with {start!r}"
            )
    for column in free:
        if column in imported.used:
            continue
        kind, why = infer_target_kind(sheet, column)
        if not kind:
            imported.leave_out([column], why)
            continue
        words = sheet.parse(column).words
        if find_answer_form(kind) == "grade":
            words = order_grade_words(column, words) or words
        add_pooled_task(sheet, make_clean_name(column), column, kind, words, imported, "", why)


def leave_out_reserved(sheet: ForeignSheet, imported: ImportedTasks) -> None:
    """Leave out columns whose name has a fixed meaning in our own tables."""
    for column in sheet.columns:
        if column in RESERVED_COLUMNS and column not in imported.used:
            imported.leave_out([column], "the name has a fixed meaning; rename the column to use it")


def set_aside_non_targets(
    sheet: ForeignSheet, columns: Sequence[str], imported: ImportedTasks, inputs: bool
) -> None:
    """Set aside columns that are not tasks: a likely site is proposed, a person's age or sex becomes an input.

    Args:
        inputs: whether columns that describe a person become inputs.
    """
    for column in columns:
        if column in imported.used:
            continue
        words = sheet.parse(column).words
        if "site" not in sheet.identity and looks_like_site(column) and 2 <= len(words) <= MAX_SITE_WORDS:
            imported.used.add(column)
            remedy = f"left out; --site {_quote_if_spaced(column)} uses it as the site"
            line = f"column {column!r} looks like a site ({list_examples(words, 3)}): {remedy}"
            imported.notes.append(ColumnNote("proposal", "like a site", line))
        elif inputs and DEMOGRAPHIC_NAME.match(column) and make_input_column(sheet, column)[0] is not None:
            imported.used.add(column)
            imported.inputs.append(column)


def add_multilabel_task(
    sheet: ForeignSheet, name: str, columns: dict[str, str], imported: ImportedTasks, level: str, why: str
) -> None:
    """Add a multilabel task from columns of yes and no.

    Args:
        columns: label → its column.
        level: `visit`, `subject`, or "" = inferred from the first column.
        why: the reason for the task, for its note.
    """
    level = level or infer_column_level(sheet, next(iter(columns.values()), ""))
    loss = LostCells(name, "1 = present, 0 = absent, or empty")
    imported.losses.append(loss)
    for label, column in columns.items():
        bits = [parse_flag_word(cell) for cell in sheet.cells(column)]
        for row, cell, bit in zip(sheet.rows, sheet.cells(column), bits, strict=True):
            if cell:
                loss.count_cell(row["subject"], f"{column} {cell!r}", lost=not bit)
        imported.cells[f"{name}.{label}"] = bits
    task = find_pooled_kind("multilabel").make_spec(list(columns), level, "")
    line = f"multilabel of {list_examples(columns.values(), 10)}, level {level} ({why})"
    add_imported_task(imported, name, task, columns.values(), line)


def add_pooled_task(
    sheet: ForeignSheet,
    name: str,
    column: str,
    kind: str,
    words: list[str],
    imported: ImportedTasks,
    level: str,
    why: str,
) -> None:
    """Add a task whose answers are in one column: a class, a grade or a number.

    Args:
        words: classes or grades in order.
        level: `visit`, `subject`, or "" = inferred.
        why: the reason for the task, for its note.
    """
    level = level or infer_column_level(sheet, column)
    parsed = sheet.parse(column)
    unit = imported.units.get(name, "")
    task = find_pooled_kind(kind).make_spec(words, level, unit)
    imported.cells[name] = list(parsed.texts)
    extra = ""
    text = f" {', '.join(words)}"
    if find_answer_form(kind) == "number":
        text = ""
        loss = LostCells(name, "a number with a dot")
        imported.losses.append(loss)
        imported.cells[name] = read_number_cells(
            sheet, column, loss, KINDS[kind].list_parsers(task, name)[name]
        )
    elif foreign := [w for w in parsed.words if not any(is_same_word(w, known) for known in words)]:
        extra = (
            f"; words that the task does not have, see `polytask check`: {list_examples(map(repr, foreign))}"
        )
    unit_text = f" in {unit}" if unit else ""
    line = f"{kind}{text}{unit_text} from column {column!r}, level {level} ({why}){extra}"
    add_imported_task(imported, name, task, [column], line)


def read_number_cells(
    sheet: ForeignSheet, column: str, loss: LostCells, parse: CellParser | None = None
) -> list[str]:
    """Return the cells of a column of numbers; cells that are not numbers become empty and are counted as lost.

    A bound such as `>1700` stays: `polytask check` asks a person what it means.

    Args:
        loss: counts the filled and the lost cells.
        parse: if given, cells that it refuses are lost too.
    """
    cells = []
    parsed = sheet.parse(column)
    for row, cell, value in zip(sheet.rows, parsed.cells, parsed.numbers, strict=True):
        good = (value is not None and (parse is None or _accepts_cell(parse, cell))) or is_bound_cell(cell)
        cells.append(cell if good else "")
        if cell:
            loss.count_cell(row["subject"], f"{column} {cell!r}", lost=not good)
    return cells


def _accepts_cell(parse: CellParser, cell: str) -> bool:
    """Whether a parser reads a cell. Absurd numbers count as read, so that they reach `polytask check`."""
    try:
        parse(cell)
    except UnreadableCell as odd:
        return odd.code == "absurd-number"  # `polytask check` reports it
    return True


def is_bound_cell(cell: str) -> bool:
    """Whether a cell is a bound instead of a number: `>1700`, `<= 0.1`."""
    match = _BOUND_SIGN.match(cell)
    return match is not None and parse_cell_number(cell[match.end() :]) is not None


def _quote_if_spaced(word: str) -> str:
    return f"'{word}'" if " " in word else word


def _require_task_column(sheet: ForeignSheet, column: str, stated_task: StatedTask) -> None:
    if column not in sheet.columns:
        raise PolytaskError(
            f"{sheet.path}: no column {column!r} for task {stated_task.name!r}; "
            f"{suggest_word(column, list(sheet.columns))}"
        )
