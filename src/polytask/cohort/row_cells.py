"""The cells of one row of a table: a row holds its words alone, the names of the columns are shared by all rows."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping
from typing import Any

MOST_SHARED = 100_000
"""Different words of a table that are kept once; further ones are kept as often as they stand there."""


class Columns:
    """Names and places of the columns of a table, and the words that mean "unknown".

    Args:
        places: column → its place in a row.
        unknown: words that stand for an unknown cell; such cells are not there.
    """

    __slots__ = ("order", "places", "unknown")

    def __init__(self, places: Mapping[str, int], unknown: Iterable[str] = ()) -> None:
        self.places, self.unknown = dict(places), frozenset(unknown)
        self.order = tuple(self.places)


class RowCells(Mapping[str, str]):
    """Column → word of one row. It takes a few bytes a cell where a dictionary takes a hundred."""

    __slots__ = ("_columns", "words")

    def __init__(self, columns: Columns, words: tuple[str, ...]) -> None:
        self._columns, self.words = columns, words

    def has_places_of(self, columns: Columns) -> bool:
        """Whether every column stands at the same place there."""
        return self._columns.order is columns.order or self._columns.order == columns.order

    def seen_through(self, columns: Columns) -> RowCells:
        """The same words under other columns or other unknown words; nothing is copied."""
        return RowCells(columns, self.words)

    def __getitem__(self, column: str) -> str:
        place = self._columns.places[column]
        if place >= len(self.words) or self.words[place] in self._columns.unknown:
            raise KeyError(column)
        return self.words[place]

    def get(self, column: str, default: Any = None) -> Any:
        """The word of a column, or `default` where it is unknown."""
        place = self._columns.places.get(column)
        if place is None or place >= len(self.words):
            return default
        word = self.words[place]
        return default if word in self._columns.unknown else word

    def __contains__(self, column: object) -> bool:
        place = self._columns.places.get(column)  # type: ignore[call-overload]
        return (
            place is not None and place < len(self.words) and self.words[place] not in self._columns.unknown
        )

    def __iter__(self) -> Iterator[str]:
        return (column for column, _ in self.pairs())

    def __len__(self) -> int:
        return len(self.pairs())

    def items(self) -> ItemsView[str, str]:
        """Column and word of every known cell, in the order of the columns."""
        return _Pairs(self)

    def pairs(self) -> list[tuple[str, str]]:
        """The same as a list."""
        words, unknown, count = self.words, self._columns.unknown, len(self.words)
        return [
            (column, words[place])
            for column, place in self._columns.places.items()
            if place < count and words[place] not in unknown
        ]

    def __repr__(self) -> str:
        return repr(dict(self.pairs()))


class _Pairs(ItemsView[str, str]):
    """Items without a look-up for each."""

    def __init__(self, cells: RowCells) -> None:
        super().__init__(cells)
        self._cells = cells

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._cells.pairs())


def to_row_cells(cells: Mapping[str, str], columns: Columns) -> RowCells:
    """The cells of a row with a word for each column in its place. Rows that a table was read from stay as they are."""
    if isinstance(cells, RowCells) and cells.has_places_of(columns):
        return cells
    return RowCells(columns, tuple(cells.get(column, "") for column in columns.places))


class SharedWords:
    """Words of a table that occur often stand in memory once."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def share(self, words: Iterable[str]) -> tuple[str, ...]:
        """The words of a row, each as the object that was there first."""
        known = self._known
        if len(known) < MOST_SHARED:
            return tuple([known.setdefault(word, word) for word in words])
        return tuple([known.get(word, word) for word in words])
