"""One column of a foreign table, parsed once: its words, its numbers, and every cell as our table writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from polytask.kinds.header_words import parse_cell_number


@dataclass(frozen=True)
class ForeignColumn:
    """A column of text in which unknown cells are empty.

    All decisions about a column and all cells that are written use this one parse, so that `1.0` in a cell and `1`
    in a list of words can never become two different classes.
    """

    cells: tuple[str, ...]

    @cached_property
    def numbers(self) -> tuple[float | None, ...]:
        """The number in each cell; None where the cell is not a number."""
        return tuple(parse_cell_number(cell) for cell in self.cells)

    @cached_property
    def known(self) -> int:
        """Number of cells that are filled."""
        return sum(1 for cell in self.cells if cell)

    @cached_property
    def odd(self) -> list[str]:
        """Filled cells that are not numbers, in the order of the rows."""
        return [cell for cell, value in zip(self.cells, self.numbers, strict=True) if cell and value is None]

    @property
    def numeric(self) -> bool:
        """Whether the column has a filled cell and every filled cell is a number."""
        return self.known > 0 and not self.odd

    @property
    def texts(self) -> tuple[str, ...]:
        """Every cell in one spelling: equal numbers as they were first written, whole numbers without a point."""
        return self._spelled[0]

    @property
    def words(self) -> list[str]:
        """The different words: numbers once per value (1.0 = 1) and sorted by value, other words sorted by alphabet."""
        return self._spelled[1]

    @cached_property
    def _spelled(self) -> tuple[tuple[str, ...], list[str]]:
        """Compute (texts, words) together, since both need the first spelling of each number."""
        first: dict[float, str] = {}
        texts, numeric = [], self.numeric
        for cell, value in zip(self.cells, self.numbers, strict=True):
            if value is None:
                texts.append(cell)
                continue
            if value not in first:
                # A float does not hold every integer beyond 9e15; 1e15 stays clear of that, so that no id changes.
                whole = numeric and value.is_integer() and abs(value) < 1e15
                first[value] = f"{value:.0f}" if whole else cell
            texts.append(first[value])
        words = [first[value] for value in sorted(first)] if numeric else sorted({*texts} - {""})
        return tuple(texts), words


def parse_foreign_column(cells: Sequence[str]) -> ForeignColumn:
    """Make a column from its cells, one per row."""
    return ForeignColumn(tuple(cells))
