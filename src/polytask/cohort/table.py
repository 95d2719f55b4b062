"""A table as text: `cases.csv` or `.tsv`, every cell a string, every row with its line number."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.formula_cells import escape_cells, restore_cells
from polytask.cohort.open_table import name_without_gz, open_table
from polytask.cohort.row_cells import Columns, RowCells, SharedWords
from polytask.errors import PolytaskError, Problem

Lines = Sequence[tuple[int, Sequence[str]]]
"""Line number and cells of every line that is not empty."""
MOST_ROWS = 0.9
"""A separator fits when so many rows have as many cells as there are columns."""
_MARKS = {";": "semicolons", ",": "commas", "\t": "tabs"}


@dataclass(frozen=True)
class Row:
    """One line: `line` counts from 1 for the column names. Cells are stripped of surrounding blanks."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """Columns and rows of one file; `problems` are the rows that do not fit the columns."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()


def find_table(folder: Path) -> Path:
    """`cases.csv`, or `cases.tsv`."""
    found = [folder / name for name in ("cases.csv", "cases.tsv") if (folder / name).is_file()]
    if len(found) == 2:
        raise PolytaskError(f"{folder}: cases.csv and cases.tsv; expected one table; remove the other")
    if not found:
        raise PolytaskError(
            f"{folder}: no cases.csv (or cases.tsv); expected a row per subject and visit; add it"
        )
    return found[0]


def read_table(path: Path, comma: str = "", encoding: str = "utf-8-sig", skipped: int = 0) -> Table:
    """Read a table: UTF-8, comma, or tab when the name ends in `.tsv`; `.gz` behind it is inflated.

    Args:
        comma: what parts the cells, where the name does not say it.
        encoding: of a foreign table.
        skipped: lines before the names of the columns.

    Raises:
        PolytaskError: the file is no such table at all. Single odd rows become `problems`.
    """
    comma = comma or name_separator(path)
    try:
        with open_table(path, encoding) as file:
            for _ in range(skipped):
                file.readline()
            reader = csv.reader(file, delimiter=comma, strict=True)
            words = SharedWords()
            filled = ((reader.line_num, words.share(restore_cells(cells))) for cells in reader)
            lines = [(number, cells) for number, cells in filled if any(cells)]
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error.strerror}); expected a table; mend the path"
        ) from None
    except UnicodeError:
        what = "UTF-8" if encoding == "utf-8-sig" else encoding
        raise PolytaskError(f"{path}: not {what} text; expected a {what} table; save it as UTF-8") from None
    except csv.Error as error:
        raise PolytaskError(
            f"{path}, row {reader.line_num}: {error}; expected quoted cells to end; mend the row"
        ) from None
    return make_table(path, lines, comma)


def make_table(path: Path, lines: Lines, comma: str = ",") -> Table:
    """The table of these lines, the first of which names the columns.

    Args:
        lines: (line number, cells), empty lines left out.
        comma: what parts the cells, for the messages.
    """
    if not lines:
        raise PolytaskError(f"{path}: empty; expected a first line of column names; fill it")
    lines = _without_empty_columns(lines)
    columns = list(lines[0][1])
    _check_columns(path, columns, comma)
    rows, problems = [], []
    places = Columns({column: place for place, column in enumerate(columns)})
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            message = f"{len(cells)} cells, expected {len(columns)}"
            remedy = "mend the row (a cell with a comma needs quotes)"
            problems.append(Problem("error", "odd-row", message, remedy, file=path.name, row=line))
        elif any("\0" in cell for cell in cells):
            message, remedy = "a cell with a NUL, expected text", "save the table as UTF-8 text"
            problems.append(Problem("error", "odd-row", message, remedy, file=path.name, row=line))
        rows.append(Row(line, RowCells(places, tuple(cells))))
    return Table(path, tuple(columns), tuple(rows), tuple(problems))


def _without_empty_columns(lines: Lines) -> Lines:
    """The lines without columns that have neither a name nor a cell, as spreadsheets leave behind."""
    nameless = {k for k, name in enumerate(lines[0][1]) if not name}
    if not nameless:
        return lines
    filled = {k for _, cells in lines for k in nameless if k < len(cells) and cells[k]}
    empty = nameless - filled
    return [(line, [c for k, c in enumerate(cells) if k not in empty]) for line, cells in lines]


def write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write a table; a missing cell is empty, and no cell is a formula to a spreadsheet."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=name_separator(path), lineterminator="\n")
        writer.writerow(escape_cells(columns))
        writer.writerows(escape_cells(row.get(c, "") for c in columns) for row in rows)


def count_columns(lines: Sequence[str], comma: str) -> int:
    """How many columns a table has if `comma` parts its cells; 0 where its first lines do not agree."""
    try:
        rows = [cells for cells in csv.reader(lines, delimiter=comma) if any(cells)]
    except csv.Error:
        return 0
    fitting = sum(len(cells) == len(rows[0]) for cells in rows[1:])
    return len(rows[0]) if rows and fitting >= MOST_ROWS * (len(rows) - 1) else 0


def name_separator(path: Path) -> str:
    """What parts the cells of a file of this name: a comma, or a tab for `.tsv`."""
    return "\t" if name_without_gz(path).endswith(".tsv") else ","


def _check_columns(path: Path, columns: list[str], comma: str) -> None:
    if twice := sorted(column for column, count in Counter(columns).items() if count > 1):
        names = ", ".join(repr(c) for c in twice)
        raise PolytaskError(
            f"{path}, row 1: column {names} stands there twice; expected different names; rename one"
        )
    other = [c for c in _MARKS if c != comma and c in columns[0]]
    if len(columns) == 1 and other:
        need = "tabs (.tsv)" if comma == "\t" else "commas (.csv)"
        raise PolytaskError(f"{path}: columns are parted by {_MARKS[other[0]]}; expected {need}; save it so")
