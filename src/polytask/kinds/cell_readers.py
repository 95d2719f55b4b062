"""Reads one cell of the table into one value. A cell that the task or column cannot read raises `UnreadableCell`."""

from __future__ import annotations

import re

from polytask.errors import list_words, suggest_word
from polytask.kinds.header_words import is_same_word, parse_cell_number

MAX_CELL_NUMBER = 1e18
"""Larger numbers cannot be measurements, and the square of a number a little larger overflows in 32 bits."""
_BOUND_PREFIX = re.compile(r"(<=|>=|[<>≤≥])\s*(?=\S)")
EVENT_MEANING = "1 = event observed, 0 = censored"
PRESENT_MEANING = "1 = present, 0 = absent, empty = unknown"


class UnreadableCell(Exception):
    """Raised for a cell whose content does not fit the header.

    Args:
        code: code of the problem in `polytask check`.
        message: what was found and what was expected.
        remedy: what the user can do.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code, self.message, self.remedy = code, message, remedy


def find_word_index(cell: str, words: list[str]) -> int:
    """Find the index of the word that a cell says, compared as text or as a number ("2.0" = "2")."""
    # Equal text first: it is quick, and most cells of a large table are written as in the header.
    if cell in words:
        return words.index(cell)
    for index, candidate in enumerate(words):
        if is_same_word(cell, candidate):
            return index
    raise UnreadableCell(
        "unknown-class", f"{cell!r} is not one of {list_words(words)}", suggest_word(cell, words)
    )


def read_number(cell: str, bounds: bool) -> float:
    """Read a number with a dot as decimal sign; with `bounds`, `>1700` and `<= 0.5` are read as the bound itself."""
    bound = _BOUND_PREFIX.match(cell) if bounds else None
    return (
        read_decimal(cell[bound.end() :])
        if bound and parse_cell_number(cell[bound.end() :]) is not None
        else read_decimal(cell)
    )


def read_decimal(cell: str) -> float:
    """Read a number with a dot as decimal sign; anything else is refused with a remedy."""
    value = parse_cell_number(cell)
    if (
        value is None
        and (bound := _BOUND_PREFIX.match(cell))
        and parse_cell_number(cell[bound.end() :]) is not None
    ):
        remedy = "write `bounds: true` for it in cohort.yaml to read the bound as the value, or leave the cell empty"
        raise UnreadableCell("bound", f"{cell!r} is a bound, not a number", remedy)
    if value is not None and abs(value) > MAX_CELL_NUMBER:
        remedy = "correct it, leave it empty, or add the word to `unknown`"
        raise UnreadableCell("absurd-number", f"{cell} is too large for a measured number", remedy)
    if value is None:
        remedy = "write a number with a decimal point, leave it empty, or add the word to `unknown`"
        raise UnreadableCell("odd-cell", f"{cell!r} is not a number", remedy)
    return value


def read_time(cell: str) -> float:
    """Read a time: a number that is not negative."""
    value = read_decimal(cell)
    if value < 0:
        raise UnreadableCell(
            "negative-time",
            f"the time {cell} is negative",
            "count the time from the origin, or leave time and event empty",
        )
    return value


def read_zero_or_one(cell: str, meaning: str) -> int:
    """Read a cell that must hold 0 or 1; `meaning` says what they mean, for the message."""
    value = parse_cell_number(cell)
    if value not in (0, 1):
        raise UnreadableCell(
            "odd-event" if "event" in meaning else "odd-cell",
            f"{cell!r} is neither 0 nor 1",
            f"write {meaning}",
        )
    return int(value)


def read_structure_names(cell: str, known: list[str]) -> frozenset[str]:
    """Read structure names joined by `;`; every one must be among the `known` names."""
    names = [name.strip() for name in cell.split(";") if name.strip()]
    for name in names:
        if name not in known:
            raise UnreadableCell(
                "unknown-structure", f"{name!r} is not a structure of the task", suggest_word(name, known)
            )
    return frozenset(names)
