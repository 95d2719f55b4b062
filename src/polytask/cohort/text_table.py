"""Read and write tables of text such as `cases.csv`: every cell is a string, every row knows its line number."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.formula_cells import escape_cells, restore_cells
from polytask.cohort.open_table import open_table, strip_gz_ending
from polytask.cohort.row_cells import ColumnLayout, RowCells, SharedWords
from polytask.errors import PolytaskError, Problem

TableLines = Sequence[tuple[int, Sequence[str]]]
"""(line number, cells) of every line that is not empty; the first one holds the column names."""
MIN_FITTING_ROWS = 0.9
"""A separator fits when at least this share of the rows has as many cells as there are column names."""
_SEPARATOR_NAMES = {";": "semicolons", ",": "commas", "\t": "tabs"}


@dataclass(frozen=True)
class TextRow:
    """One row of a table. `line` is its number in the file (column names: line 1); cells have no outer blanks."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class TextTable:
    """Columns and rows of one table file; `problems` lists the rows that do not fit the columns."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[TextRow, ...]
    problems: tuple[Problem, ...] = ()


def find_cases_table(folder: Path) -> Path:
    """Find the table of a cohort folder: `cases.csv` or `cases.tsv`, exactly one of them."""
    tables = [folder / name for name in ("cases.csv", "cases.tsv") if (folder / name).is_file()]
    if len(tables) == 2:
        raise PolytaskError(
            f"{folder}: has both cases.csv and cases.tsv; expected one table; remove one of them"
        )
    if not tables:
        raise PolytaskError(
            f"{folder}: no cases.csv (or cases.tsv); expected a table with a row for each subject and visit; add it"
        )
    return tables[0]


def read_text_table(
    path: Path, separator: str = "", encoding: str = "utf-8-sig", skipped: int = 0
) -> TextTable:
    """Read a table: UTF-8 with commas, or with tabs when the name ends in `.tsv`; also with `.gz` at the end.

    Args:
        separator: the character between cells, where the file name does not tell it.
        encoding: text encoding of a foreign table.
        skipped: number of lines before the column names.

    Raises:
        PolytaskError: the file cannot be read as a table. Single bad rows become `problems` instead.
    """
    separator = separator or choose_separator(path)
    try:
        with open_table(path, encoding) as file:
            for _ in range(skipped):
                file.readline()
            # strict: without it an open quote swallows the rest of the file into one cell, silently.
            reader = csv.reader(file, delimiter=separator, strict=True)
            words = SharedWords()
            filled = ((reader.line_num, words.share(restore_cells(cells))) for cells in reader)
            lines = [(number, cells) for number, cells in filled if any(cells)]
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error.strerror}); expected a table; correct the path"
        ) from None
    except UnicodeError:
        encoding_name = "UTF-8" if encoding == "utf-8-sig" else encoding
        raise PolytaskError(
            f"{path}: not {encoding_name} text; expected a {encoding_name} table; save it as UTF-8"
        ) from None
    except csv.Error as error:
        raise PolytaskError(
            f"{path}, row {reader.line_num}: {error}; expected a closing quote for every opening one; correct the row"
        ) from None
    return make_text_table(path, lines, separator)


def make_text_table(path: Path, lines: TableLines, separator: str = ",") -> TextTable:
    """Build a table from lines; the first line names the columns.

    Args:
        lines: (line number, cells), without empty lines.
        separator: the character between cells, for the messages.
    """
    if not lines:
        raise PolytaskError(f"{path}: the table is empty; expected column names in its first line; add them")
    lines = _drop_empty_columns(lines)
    columns = list(lines[0][1])
    _check_column_names(path, columns, separator)
    rows, problems = [], []
    places = ColumnLayout({column: place for place, column in enumerate(columns)})
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            message = f"{len(cells)} cells, expected {len(columns)}"
            remedy = "correct the row (a cell with a comma needs quotes)"
            problems.append(Problem("error", "odd-row", message, remedy, file=path.name, row=line))
        elif any("\0" in cell for cell in cells):
            message, remedy = "a cell has a NUL character, expected text", "save the table as UTF-8 text"
            problems.append(Problem("error", "odd-row", message, remedy, file=path.name, row=line))
        # A bad row stays in the table too: the other checks can still read the cells that it has.
        rows.append(TextRow(line, RowCells(places, tuple(cells))))
    return TextTable(path, tuple(columns), tuple(rows), tuple(problems))


def _drop_empty_columns(lines: TableLines) -> TableLines:
    """Drop columns that have neither a name nor a filled cell; spreadsheet programs often leave such columns."""
    nameless = {k for k, name in enumerate(lines[0][1]) if not name}
    if not nameless:
        return lines
    filled = {k for _, cells in lines for k in nameless if k < len(cells) and cells[k]}
    empty = nameless - filled
    return [(line, [c for k, c in enumerate(cells) if k not in empty]) for line, cells in lines]


def write_cases_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write a table. Missing cells are empty; text that a spreadsheet would run as a formula is escaped."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=choose_separator(path), lineterminator="\n")
        writer.writerow(escape_cells(columns))
        writer.writerows(escape_cells(row.get(c, "") for c in columns) for row in rows)


def count_columns(lines: Sequence[str], separator: str) -> int:
    """Count the columns of a table if `separator` stands between its cells; 0 if its lines do not fit together."""
    try:
        rows = [cells for cells in csv.reader(lines, delimiter=separator) if any(cells)]
    except csv.Error:
        return 0
    fitting = sum(len(cells) == len(rows[0]) for cells in rows[1:])
    return len(rows[0]) if rows and fitting >= MIN_FITTING_ROWS * (len(rows) - 1) else 0


def choose_separator(path: Path) -> str:
    """Return the separator that a file name stands for: a tab for `.tsv`, else a comma."""
    return "\t" if strip_gz_ending(path).endswith(".tsv") else ","


def _check_column_names(path: Path, columns: list[str], separator: str) -> None:
    """Raise for repeated column names, or for a single column whose name holds another separator."""
    if twice := sorted(column for column, count in Counter(columns).items() if count > 1):
        names = ", ".join(repr(c) for c in twice)
        raise PolytaskError(
            f"{path}, row 1: column {names} occurs twice; expected different names; rename one"
        )
    other = [c for c in _SEPARATOR_NAMES if c != separator and c in columns[0]]
    if len(columns) == 1 and other:
        need = "tabs (.tsv)" if separator == "\t" else "commas (.csv)"
        raise PolytaskError(
            f"{path}: columns are separated by {_SEPARATOR_NAMES[other[0]]}; expected {need}; save it with them"
        )
