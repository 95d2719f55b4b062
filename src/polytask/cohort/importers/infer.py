"""Turn columns of a foreign table into tasks and inputs. Every decision is a note that a person can read and change."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.draft import examples
from polytask.cohort.importers.flags import group_flags, name_of_flag, read_flag
from polytask.cohort.importers.found import Found, add
from polytask.cohort.importers.kinds import input_column, kind_of, level_of
from polytask.cohort.importers.losses import Loss
from polytask.cohort.importers.options import Ask
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.survival import add_death_or_follow_up, add_survival
from polytask.cohort.importers.two_times import TwoTimes
from polytask.cohort.importers.words import DEMOGRAPHIC, clean, is_like_site, ladder
from polytask.errors import PolytaskError, nearest
from polytask.kinds import KINDS, answer_form, find_pooled_kind
from polytask.kinds.cells import OddCell
from polytask.kinds.kind import Parser
from polytask.kinds.words import RESERVED, number, same_word

SITES = 50
"""A column with more different words than this is not taken for a site."""
_BOUND = re.compile(r"(<=|>=|[<>≤≥])\s*")


def stated_tasks(sheet: Sheet, asked: Sequence[Ask], found: Found) -> None:
    """Add the tasks that a person stated; raises if a column that they need is missing."""
    for ask in asked:
        name = clean(ask.name)
        column = ask.column or ask.name
        form = answer_form(ask.kind)
        if form == "time" and len(ask.words) > 2:
            for part in ask.words:
                _require(sheet, part, ask)
            *start, death, last, status = ask.words
            two = TwoTimes(death, last, status, *start)
            add_death_or_follow_up(sheet, name, two, found, ask.level)
        elif form == "time":
            pair = (ask.words[0], ask.words[1]) if ask.words else (f"{column}_time", f"{column}_event")
            for part in pair:
                _require(sheet, part, ask)
            add_survival(sheet, name, pair, found, ask.level)
        elif form == "labels":
            columns = {w: w if w in sheet.columns else f"{column}.{w}" for w in ask.words}
            for part in columns.values():
                _require(sheet, part, ask)
            add_flags(sheet, name, columns, found, ask.level, "stated")
        else:
            _require(sheet, column, ask)
            words = list(ask.words) or sheet.parse(column).words
            add_pooled(sheet, name, column, ask.kind, words, found, ask.level, "stated")


def inferred_tasks(sheet: Sheet, columns: Sequence[str], found: Found) -> None:
    """Add classification, multilabel, ordinal and regression tasks by what is in the columns."""
    # Groups of flags first: each flag alone would look like a class of its own.
    free = [c for c in columns if c not in found.used]
    for start, flags in group_flags(sheet, free).items():
        varied = {name_of_flag(c): c for c in flags if len({read_flag(w) for w in sheet.parse(c).words}) > 1}
        if same := [c for c in flags if c not in varied.values()]:
            found.leave_out(same, "the same in every row")
        if len(varied) > 1:
            add_flags(sheet, clean(start), varied, found, "", f"flags that start with {start!r}")
    for column in free:
        if column in found.used:
            continue
        kind, why = kind_of(sheet, column)
        if not kind:
            found.leave_out([column], why)
            continue
        words = sheet.parse(column).words
        if answer_form(kind) == "grade":
            words = ladder(column, words) or words
        add_pooled(sheet, clean(column), column, kind, words, found, "", why)


def leave_reserved(sheet: Sheet, found: Found) -> None:
    """Leave out columns whose name has a fixed meaning in our own tables."""
    for column in sheet.columns:
        if column in RESERVED and column not in found.used:
            found.leave_out([column], "the name has a meaning of its own; rename the column to read it")


def set_aside(sheet: Sheet, columns: Sequence[str], found: Found, inputs: bool) -> None:
    """Set aside columns that are not a question: a likely site is proposed, a person's age or sex becomes an input.

    Args:
        inputs: whether columns that describe a person become inputs.
    """
    for column in columns:
        if column in found.used:
            continue
        words = sheet.parse(column).words
        if "site" not in sheet.identity and is_like_site(column) and 2 <= len(words) <= SITES:
            found.used.add(column)
            remedy = f"left out, --site {_quote(column)} takes it"
            line = f"column {column!r} looks like a site ({examples(words, 3)}): {remedy}"
            found.notes.append(ColumnNote("proposal", "like a site", line))
        elif inputs and DEMOGRAPHIC.match(column) and input_column(sheet, column)[0] is not None:
            found.used.add(column)
            found.inputs.append(column)


def add_flags(sheet: Sheet, name: str, columns: dict[str, str], found: Found, level: str, why: str) -> None:
    """Add a multilabel task from columns of yes and no.

    Args:
        columns: label → its column.
        level: `visit`, `subject`, or "" = inferred from the first column.
        why: the reason for the task, for its note.
    """
    level = level or level_of(sheet, next(iter(columns.values()), ""))
    loss = Loss(name, "1 = present, 0 = absent, or empty")
    found.losses.append(loss)
    for label, column in columns.items():
        bits = [read_flag(cell) for cell in sheet.cells(column)]
        for row, cell, bit in zip(sheet.rows, sheet.cells(column), bits, strict=True):
            if cell:
                loss.count_cell(row["subject"], f"{column} {cell!r}", lost=not bit)
        found.cells[f"{name}.{label}"] = bits
    task = find_pooled_kind("multilabel").make_spec(list(columns), level, "")
    line = f"multilabel of {examples(columns.values(), 10)}, level {level} ({why})"
    add(found, name, task, columns.values(), line)


def add_pooled(
    sheet: Sheet, name: str, column: str, kind: str, words: list[str], found: Found, level: str, why: str
) -> None:
    """Add a task whose answers are in one column: a class, a grade or a number.

    Args:
        words: classes or grades in order.
        level: `visit`, `subject`, or "" = inferred.
        why: the reason for the task, for its note.
    """
    level = level or level_of(sheet, column)
    parsed = sheet.parse(column)
    unit = found.units.get(name, "")
    task = find_pooled_kind(kind).make_spec(words, level, unit)
    found.cells[name] = list(parsed.texts)
    extra = ""
    text = f" {', '.join(words)}"
    if answer_form(kind) == "number":
        text = ""
        loss = Loss(name, "a number with a dot")
        found.losses.append(loss)
        found.cells[name] = read_numbers(sheet, column, loss, KINDS[kind].list_parsers(task, name)[name])
    elif foreign := [w for w in parsed.words if not any(same_word(w, known) for known in words)]:
        extra = f"; not among the words, see `polytask check`: {examples(map(repr, foreign))}"
    unit_text = f" in {unit}" if unit else ""
    line = f"{kind}{text}{unit_text} from column {column!r}, level {level} ({why}){extra}"
    add(found, name, task, [column], line)


def read_numbers(sheet: Sheet, column: str, loss: Loss, parse: Parser | None = None) -> list[str]:
    """Return the cells of a column of numbers; cells that are no number become empty and are counted as lost.

    A bound such as `>1700` stays: `polytask check` asks a person what it means.

    Args:
        loss: counts the filled and the lost cells.
        parse: if given, cells that it refuses are lost too.
    """
    kept = []
    parsed = sheet.parse(column)
    for row, cell, value in zip(sheet.rows, parsed.cells, parsed.numbers, strict=True):
        good = (value is not None and (parse is None or _takes(parse, cell))) or is_bound(cell)
        kept.append(cell if good else "")
        if cell:
            loss.count_cell(row["subject"], f"{column} {cell!r}", lost=not good)
    return kept


def _takes(parse: Parser, cell: str) -> bool:
    """Whether a parser reads a cell. Absurd numbers count as read, so that they reach `polytask check`."""
    try:
        parse(cell)
    except OddCell as odd:
        return odd.code == "absurd-number"  # `check` names it
    return True


def is_bound(cell: str) -> bool:
    """Whether a cell is a bound instead of a number: `>1700`, `<= 0.1`."""
    match = _BOUND.match(cell)
    return match is not None and number(cell[match.end() :]) is not None


def _quote(word: str) -> str:
    return f"'{word}'" if " " in word else word


def _require(sheet: Sheet, column: str, ask: Ask) -> None:
    if column not in sheet.columns:
        raise PolytaskError(
            f"{sheet.path}: no column {column!r} for task {ask.name!r}; {nearest(column, list(sheet.columns))}"
        )
