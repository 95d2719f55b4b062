"""One cell to one value. What a cell may say depends on the task or column; anything else is an `OddCell`."""

from __future__ import annotations

from polytask.cohort.words import number, same_word
from polytask.errors import list_words, nearest

EVENT = "1 = event observed, 0 = censored"
PRESENT = "1 = present, 0 = absent, empty = unknown"


class OddCell(Exception):
    """A cell that says nothing the header knows.

    Args:
        code: of the problem in `polytask check`.
        message: what was found and expected.
        remedy: what to do.
    """

    def __init__(self, code: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.code, self.message, self.remedy = code, message, remedy


def word(cell: str, words: list[str]) -> int:
    """Index of the word a cell says, as text or as a number ("2.0" = "2")."""
    for index, candidate in enumerate(words):
        if same_word(cell, candidate):
            return index
    raise OddCell("unknown-class", f"{cell!r} is not one of {list_words(words)}", nearest(cell, words))


def decimal(cell: str) -> float:
    """A number with a dot."""
    value = number(cell)
    if value is None:
        remedy = "write a number with a dot, leave it empty, or add the word to `unknown`"
        raise OddCell("odd-cell", f"{cell!r} is not a number", remedy)
    return value


def time(cell: str) -> float:
    """A number that is not negative."""
    value = decimal(cell)
    if value < 0:
        raise OddCell(
            "negative-time",
            f"the time {cell} is negative",
            "count from the origin, or leave time and event empty",
        )
    return value


def zero_or_one(cell: str, meaning: str) -> int:
    """0 or 1."""
    value = number(cell)
    if value not in (0, 1):
        raise OddCell(
            "odd-event" if "event" in meaning else "odd-cell",
            f"{cell!r} is neither 0 nor 1",
            f"write {meaning}",
        )
    return int(value)


def names(cell: str, known: list[str]) -> frozenset[str]:
    """Structure names joined by `;`."""
    found = [name.strip() for name in cell.split(";") if name.strip()]
    for name in found:
        if name not in known:
            raise OddCell("unknown-structure", f"{name!r} is no structure of the task", nearest(name, known))
    return frozenset(found)
