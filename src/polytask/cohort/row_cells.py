"""The cells of one table row. A row stores only its words; all rows share one object with the column names."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from typing import Any

MAX_SHARED_WORDS = 100_000
"""How many different words of a table are shared between cells; further words are stored once per cell."""


class ColumnLayout:
    """Names and positions of the columns of a table, and the words that mean "unknown".

    Args:
        places: column → its position in a row.
        unknown: words that stand for an unknown cell; a row behaves as if such cells did not exist.
    """

    __slots__ = ("order", "places", "unknown")

    def __init__(self, places: Mapping[str, int], unknown: Iterable[str] = ()) -> None:
        self.places, self.unknown = dict(places), frozenset(unknown)
        self.order = tuple(self.places)


class RowCells(Mapping[str, str]):
    """Read-only mapping column → word of one row. It needs a few bytes per cell, a dictionary about a hundred."""

    __slots__ = ("_columns", "words")

    def __init__(self, columns: ColumnLayout, words: tuple[str, ...]) -> None:
        self._columns, self.words = columns, words

    def has_same_places(self, columns: ColumnLayout) -> bool:
        """Whether every column has the same position in the other layout."""
        return self._columns.order is columns.order or self._columns.order == columns.order

    def view_with_columns(self, columns: ColumnLayout) -> RowCells:
        """Return a row with the same words but another layout or other unknown words; nothing is copied."""
        return RowCells(columns, self.words)

    def __getitem__(self, column: str) -> str:
        place = self._columns.places[column]
        if place >= len(self.words) or self.words[place] in self._columns.unknown:
            raise KeyError(column)
        return self.words[place]

    def get(self, column: str, default: Any = None) -> Any:
        """Return the word of a column, or `default` where it is unknown."""
        # Mapping.get would raise and catch KeyError for each empty cell, which is slow on large tables.
        place = self._columns.places.get(column)
        if place is None or place >= len(self.words):
            return default
        word = self.words[place]
        return default if word in self._columns.unknown else word

    def __contains__(self, column: object) -> bool:
        place = self._columns.places.get(column) if isinstance(column, str) else None
        return (
            place is not None and place < len(self.words) and self.words[place] not in self._columns.unknown
        )

    def __iter__(self) -> Iterator[str]:
        return (column for column, _ in self.pairs())

    def __len__(self) -> int:
        return len(self.pairs())

    def items(self) -> ItemsView[str, str]:
        """Return a view of (column, word) of every known cell, in the order of the columns."""
        return _CellItems(self)

    def pairs(self) -> list[tuple[str, str]]:
        """Return (column, word) of every known cell as a list."""
        words, unknown, count = self.words, self._columns.unknown, len(self.words)
        return [
            (column, words[place])
            for column, place in self._columns.places.items()
            if place < count and words[place] not in unknown
        ]

    def __repr__(self) -> str:
        return repr(dict(self.pairs()))


class _CellItems(ItemsView[str, str]):
    """Items view that runs over the words of a row directly, without one look-up per column."""

    def __init__(self, cells: RowCells) -> None:
        super().__init__(cells)
        self._cells = cells

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._cells.pairs())


def to_row_cells(cells: Mapping[str, str], columns: ColumnLayout) -> RowCells:
    """Convert the cells of a row to `RowCells` of this layout. A row that already has the layout is returned as is."""
    if isinstance(cells, RowCells) and cells.has_same_places(columns):
        return cells
    return RowCells(columns, tuple(cells.get(column, "") for column in columns.places))


class SharedWords:
    """Pool of words, so that equal words of a table are one object in memory."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def share(self, words: Iterable[str]) -> tuple[str, ...]:
        """Return the words of a row; a word that was seen before comes back as the first object with that text."""
        known = self._known
        # A full pool takes no further words: a column of unique ids would fill it without sharing anything.
        if len(known) < MAX_SHARED_WORDS:
            return tuple([known.setdefault(word, word) for word in words])
        return tuple([known.get(word, word) for word in words])
