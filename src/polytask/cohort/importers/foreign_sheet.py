"""A foreign table in memory: rows of text with empty unknown cells, and the identity of each row."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from polytask.cohort.importers.foreign_column import ForeignColumn, parse_foreign_column
from polytask.kinds.header_words import parse_cell_number


@dataclass(frozen=True)
class ForeignSheet:
    """A table of text in which unknown cells are empty.

    Args:
        columns: all columns except those that became identity.
        rows: column → cell; the identity is under `subject`, `visit`, `day`, `site`, `split`.
        identity: identity field → the column from which it came.
        notes: decisions that were taken while the table was read, as lines for people.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    identity: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    _parsed: dict[str, ForeignColumn] = field(default_factory=dict, init=False, compare=False, repr=False)

    def cells(self, column: str) -> list[str]:
        """Return the cells of one column, in the order of the rows."""
        return list(self.parse(column).cells)

    def parse(self, column: str) -> ForeignColumn:
        """Return one column parsed; the result is kept, so that each column is parsed once."""
        if column not in self._parsed:
            self._parsed[column] = parse_foreign_column([row.get(column, "") for row in self.rows])
        return self._parsed[column]

    @property
    def visits(self) -> list[str] | None:
        """Visit names in order: by mean day, else by number, else as they first appear; None without visits."""
        if "visit" not in self.identity:
            return None
        days: dict[str, list[float]] = {row["visit"]: [] for row in self.rows if row.get("visit")}
        for row in self.rows:
            if row.get("visit") and (day := parse_cell_number(row.get("day", ""))) is not None:
                days[row["visit"]].append(day)
        names = list(days)
        if names and all(days.values()):
            return sorted(names, key=lambda n: sum(days[n]) / len(days[n]))
        if all(parse_cell_number(n) is not None for n in names):
            return sorted(names, key=lambda n: parse_cell_number(n) or 0.0)
        return names
