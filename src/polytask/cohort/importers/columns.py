"""One column of a foreign table, parsed once: its words, its numbers, and every cell as our table will write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from polytask.kinds.words import number


@dataclass(frozen=True)
class ForeignColumn:
    """A column of text, an unknown cell is empty.

    Everything that is decided about a column and everything that is written of it comes from this one parse, so that
    `1.0` in a cell and `1` in a list of words can never be two things.
    """

    cells: tuple[str, ...]

    @cached_property
    def numbers(self) -> tuple[float | None, ...]:
        """The number that each cell says, None where it says none."""
        return tuple(number(cell) for cell in self.cells)

    @cached_property
    def known(self) -> int:
        """How many cells are filled."""
        return sum(1 for cell in self.cells if cell)

    @cached_property
    def odd(self) -> list[str]:
        """Filled cells that are no number, in order."""
        return [cell for cell, value in zip(self.cells, self.numbers, strict=True) if cell and value is None]

    @property
    def numeric(self) -> bool:
        """Whether every filled cell is a number, and there is one."""
        return self.known > 0 and not self.odd

    @property
    def texts(self) -> tuple[str, ...]:
        """Every cell in one spelling: numbers of one value as they were first written, whole ones without a point."""
        return self._spelled[0]

    @property
    def words(self) -> list[str]:
        """Different words: numbers by value (1.0 = 1) and in order, others by alphabet."""
        return self._spelled[1]

    @cached_property
    def _spelled(self) -> tuple[tuple[str, ...], list[str]]:
        """(texts, words)."""
        first: dict[float, str] = {}
        found, numeric = [], self.numeric
        for cell, value in zip(self.cells, self.numbers, strict=True):
            if value is None:
                found.append(cell)
                continue
            if value not in first:
                whole = numeric and value.is_integer() and abs(value) < 1e15
                first[value] = f"{value:.0f}" if whole else cell
            found.append(first[value])
        words = [first[value] for value in sorted(first)] if numeric else sorted({*found} - {""})
        return tuple(found), words


def parse_column(cells: Sequence[str]) -> ForeignColumn:
    """The column that these cells make."""
    return ForeignColumn(tuple(cells))
