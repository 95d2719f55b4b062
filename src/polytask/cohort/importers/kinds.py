"""What a column of a foreign table holds: its different words, its kind, its level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from polytask.cohort.header import Column
from polytask.cohort.importers.sheet import Sheet
from polytask.cohort.importers.words import ladder
from polytask.cohort.words import number, same_word

FEW = 10
"""At most so many different integers are classes; more are a regression."""
MANY = 20
"""More different words than this are free text."""


def kind_of(column: str, cells: Sequence[str]) -> tuple[str, str]:
    """(kind, reason); no kind = leave the column out."""
    words = words_of(cells)
    known = sum(1 for c in cells if c)
    if len(words) < 2:
        return "", "the same in every row" if words else "no cell is filled"
    numbers = [number(w) for w in words]
    if all(n is not None for n in numbers):
        whole = all(n is not None and n.is_integer() for n in numbers)
        if not whole or len(words) > FEW or known < 2 * len(words):
            return "regression", f"{len(words)} different numbers"
    elif len(words) > MANY or known < 2 * len(words):
        return "", f"{len(words)} different words in {known} cells: free text"
    if ladder(column, words):
        return "ordinal", f"{len(words)} steps of a column called {column!r}"
    return "classification", f"{len(words)} different values"


def input_column(sheet: Sheet, column: str) -> tuple[Column | None, str]:
    """A column as table input, or why it is left out."""
    cells = sheet.cells(column)
    words, level = words_of(cells), as_level(level_of(sheet, column))
    if len(words) < 2:
        return None, "the same in every row" if words else "no cell is filled"
    if all(number(w) is not None for w in words):
        return Column(type="number", level=level), f"number, level {level}"
    if len(words) > MANY:
        return None, f"{len(words)} different words: free text"
    return Column(type="category", level=level, values=words), f"category {', '.join(words)}, level {level}"


def level_of(sheet: Sheet, column: str) -> str:
    """`subject` when no subject's rows disagree and some subject has it on two rows; without visits `visit`."""
    if "visit" not in sheet.identity:
        return "visit"
    by_subject: dict[str, list[str]] = {}
    for row in sheet.rows:
        if row.get(column):
            by_subject.setdefault(row["subject"], []).append(row[column])
    several = [cells for cells in by_subject.values() if len(cells) > 1]
    return "subject" if several and all(len(set(cells)) == 1 for cells in several) else "visit"


def words_of(cells: Iterable[str]) -> list[str]:
    """Different known words, numbers by value (1.0 = 1) and in order, others by alphabet."""
    found: list[str] = []
    exact: set[str] = set()
    for cell in cells:
        if cell and cell not in exact:
            exact.add(cell)
            if number(cell) is None or len(found) > 200 or not any(same_word(cell, f) for f in found):
                found.append(cell)
    if found and all(number(w) is not None for w in found):
        whole = [
            f"{n:.0f}" if (n := number(w)) is not None and n.is_integer() and abs(n) < 1e15 else w
            for w in found
        ]
        return sorted(whole, key=lambda w: number(w) or 0.0)
    return sorted(found)


def as_level(level: str) -> Literal["visit", "subject"]:
    """A level as the header spells it."""
    return "subject" if level == "subject" else "visit"
