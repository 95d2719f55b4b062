"""From columns of a foreign table to tasks and inputs: every decision is a note that a person can read and overrule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from polytask.cohort.header import Classification, Multilabel, Ordinal, Regression
from polytask.cohort.importers.draft import examples
from polytask.cohort.importers.found import Found, add
from polytask.cohort.importers.kinds import as_level, kind_of, level_of, words_of
from polytask.cohort.importers.options import Ask
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.survival import add_survival
from polytask.cohort.importers.words import clean, ladder
from polytask.cohort.tasks import Task
from polytask.errors import PolytaskError, nearest


def stated_tasks(sheet: Sheet, asked: Sequence[Ask], found: Found) -> None:
    """Tasks that a person stated."""
    for ask in asked:
        name = clean(ask.name)
        column = ask.column or ask.name
        if ask.kind == "survival":
            pair = (ask.words[0], ask.words[1]) if ask.words else (f"{column}_time", f"{column}_event")
            for part in pair:
                _require(sheet, part, ask)
            add_survival(sheet, name, pair, found, ask.level)
        elif ask.kind == "multilabel":
            columns = {w: w if w in sheet.columns else f"{column}.{w}" for w in ask.words}
            for part in columns.values():
                _require(sheet, part, ask)
            level = ask.level or level_of(sheet, next(iter(columns.values()), ""))
            for label, part in columns.items():
                found.cells[f"{name}.{label}"] = sheet.cells(part)
            labels = Multilabel(kind="multilabel", labels=list(ask.words), level=as_level(level))
            add(found, name, labels, columns.values(), f"multilabel of {examples(columns.values())}")
        else:
            _require(sheet, column, ask)
            level = ask.level or level_of(sheet, column)
            words = list(ask.words) or words_of(sheet.cells(column))
            task = _pooled(ask.kind, words, level)
            found.cells[name] = sheet.cells(column)
            text = "" if ask.kind == "regression" else f" {', '.join(words)}"
            add(
                found,
                name,
                task,
                [column],
                f"{ask.kind}{text} from column {column!r}, level {level} (stated)",
            )


def inferred_tasks(sheet: Sheet, columns: Iterable[str], found: Found) -> None:
    """Classification, ordinal or regression by what stands in a column."""
    for column in columns:
        if column in found.used:
            continue
        name, cells = clean(column), sheet.cells(column)
        words = words_of(cells)
        level = level_of(sheet, column)
        kind, why = kind_of(column, cells)
        if not kind:
            found.notes.append(f"column {column!r}: left out ({why})")
            continue
        if kind == "ordinal":
            words = ladder(column, words) or words
        found.cells[name] = cells
        text = f" {', '.join(words)}" if kind != "regression" else ""
        add(
            found,
            name,
            _pooled(kind, words, level),
            [column],
            f"{kind}{text} from column {column!r}, level {level} ({why})",
        )


def _pooled(kind: str, words: list[str], level: str) -> Task:
    if kind == "regression":
        return Regression(kind="regression", level=as_level(level))
    if kind == "ordinal":
        return Ordinal.model_validate({"kind": "ordinal", "order": words, "level": level})
    return Classification.model_validate({"kind": "classification", "classes": words, "level": level})


def _require(sheet: Sheet, column: str, ask: Ask) -> None:
    if column not in sheet.columns:
        raise PolytaskError(
            f"{sheet.path}: no column {column!r} for task {ask.name!r}; {nearest(column, list(sheet.columns))}"
        )
