"""A table as text: `cases.csv` or `.tsv`, every cell a string, every row with its line number."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.row_cells import Columns, RowCells, SharedWords
from polytask.errors import PolytaskError, Problem

LIMIT = 1 << 30
"""Bytes a table may have."""


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


def read_table(path: Path) -> Table:
    """Read a table: UTF-8, comma, or tab when the name ends in `.tsv`.

    Raises:
        PolytaskError: the file is no such table at all. Single odd rows become `problems`.
    """
    comma = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        if path.stat().st_size > LIMIT:
            raise PolytaskError(
                f"{path}: larger than {LIMIT >> 30} GB; expected a table of cells; name the right file"
            )
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=comma, strict=True)
            words = SharedWords()
            filled = ((reader.line_num, words.share(c.strip() for c in cells)) for cells in reader)
            lines = [(number, cells) for number, cells in filled if any(cells)]
    except OSError as error:
        raise PolytaskError(
            f"{path}: cannot be read ({error.strerror}); expected a table; mend the path"
        ) from None
    except UnicodeDecodeError:
        raise PolytaskError(f"{path}: not UTF-8 text; expected a UTF-8 table; save it as UTF-8") from None
    except csv.Error as error:
        raise PolytaskError(
            f"{path}, row {reader.line_num}: {error}; expected quoted cells to end; mend the row"
        ) from None
    if not lines:
        raise PolytaskError(f"{path}: empty; expected a first line of column names; fill it")
    columns = list(lines[0][1])
    _check_columns(path, columns, comma)
    rows, problems = [], []
    places = Columns({column: place for place, column in enumerate(columns)})
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            message = f"{len(cells)} cells, expected {len(columns)}"
            remedy = "mend the row (a cell with a comma needs quotes)"
            problems.append(Problem("error", "odd-row", message, remedy, file=path.name, row=line))
        rows.append(Row(line, RowCells(places, tuple(cells))))
    return Table(path, tuple(columns), tuple(rows), tuple(problems))


def write_table(path: Path, columns: list[str], rows: list[dict[str, str]]) -> None:
    """Write a table; a missing cell is empty."""
    with path.open("w", encoding="utf-8", newline="") as file:
        comma = "\t" if path.suffix.lower() == ".tsv" else ","
        writer = csv.writer(file, delimiter=comma, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row.get(c, "") for c in columns] for row in rows)


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
