"""Read one foreign table (CSV, TSV or Excel), find its identity columns, and empty the words that mean unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.importers.cohort_draft import list_examples
from polytask.cohort.importers.decimal_commas import read_decimal_commas
from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.cohort.importers.foreign_words import (
    EMPTY_CELL_WORDS,
    IMAGE_ID_NAMES,
    SPLIT_WORDS,
    find_identity_column,
)
from polytask.cohort.importers.text_form import TextForm, read_foreign_table
from polytask.cohort.importers.workbook import is_workbook, read_workbook
from polytask.cohort.text_table import TextTable
from polytask.errors import PolytaskError, suggest_word
from polytask.images.formats import find_image_ending

_UNREADABLE_ENDINGS = (".xls", ".xlsb", ".ods", ".numbers", ".sav", ".dta", ".rds", ".parquet")
IDENTITY_FIELDS = ("subject", "visit", "day", "site", "split")


@dataclass(frozen=True)
class SheetIdentity:
    """The columns that identify a row: subject, visit, day, site and split.

    Args:
        columns: identity field (such as `subject`) → column of the table.
        pictures: the subject's column if it holds names of image files; it then stays a column of files too.
    """

    columns: dict[str, str]
    pictures: str = ""


def read_sheet(
    path: Path,
    stated: dict[str, str],
    unknown: Sequence[str] = (),
    case: bool = False,
    partly: bool = False,
    form: TextForm = TextForm(),
) -> ForeignSheet:
    """Read one foreign table into a sheet.

    Args:
        stated: subject, visit, day, site, split → column, where a person stated it.
        unknown: further words that mean an empty cell.
        case: whether the first column names the case; it is also the subject if no other column is.
        partly: whether `stated` belongs to several tables, so that this one may lack some of its columns.
        form: how the text of the table is written, where a person stated it.
    """
    notes: list[str] = []
    table = _read_filled_table(path, form, notes)
    if partly:
        stated = {field: column for field, column in stated.items() if column in table.columns}
    identity = find_sheet_identity(table, stated, case)
    words = {*EMPTY_CELL_WORDS, *unknown}
    rows = [
        _separate_identity(row.cells, identity, words, table.columns[0] if case else "") for row in table.rows
    ]
    named = [row for row in rows if row["subject"]]
    complete_rows = [row for row in named if row.get("visit") or "visit" not in identity.columns]
    notes += [
        f"{table.path.name}: {field} = column {column!r}"
        + (", the name of each file" if column == identity.pictures else "")
        for field, column in identity.columns.items()
        if field != column
    ]
    emptied = Counter(cell for row in table.rows for cell in row.cells.values() if cell in words)
    if emptied:
        counts = ", ".join(f"{w} ({n} cells)" for w, n in sorted(emptied.items()))
        notes.append(f"{table.path.name}: read as unknown: {counts}")
    if len(named) < len(rows):
        notes.append(f"{table.path.name}: {len(rows) - len(named)} rows without a subject are left out")
    if len(complete_rows) < len(named):
        notes.append(
            f"{table.path.name}: {len(named) - len(complete_rows)} rows without a visit are left out"
        )
    if "" in table.columns and not (case and table.columns[0] == ""):
        notes.append(f"{table.path.name}: a column without a name is left out")
    used = {"", *identity.columns.values(), *(table.columns[:1] if case else ())}
    used -= {identity.pictures} - {""}
    columns = tuple(c for c in table.columns if c not in used)
    return ForeignSheet(table.path, columns, tuple(complete_rows), identity.columns, tuple(notes))


def _read_filled_table(path: Path, form: TextForm, notes: list[str]) -> TextTable:
    """Read a text file or workbook as a table, or raise if it has no rows or a row that does not fit the columns."""
    if path.suffix.lower() in _UNREADABLE_ENDINGS:
        raise PolytaskError(
            f"{path}: {path.suffix} files cannot be read; expected .csv, .tsv or .xlsx; save it as one of these"
        )
    if is_workbook(path):
        table, _ = read_decimal_commas(read_workbook(path, notes), form.decimal, ",")
    else:
        table = read_foreign_table(path, form, notes)
    if not table.rows:
        raise PolytaskError(
            f"{table.path}: no row below the column names; expected one for each subject; add them"
        )
    if table.problems:
        problem = table.problems[0]
        raise PolytaskError(f"{path}, row {problem.row}: {problem.message}; {problem.remedy}")
    return table


def find_sheet_identity(table: TextTable, stated: dict[str, str], case: bool) -> SheetIdentity:
    """Find the columns that identify a row, as stated or by their names.

    Raises:
        PolytaskError: a stated column is missing, or no column names the subject.
    """
    identity_columns: dict[str, str] = {}
    for field in IDENTITY_FIELDS:
        column = stated.get(field) or find_identity_column(
            field, table.columns[1:] if case else table.columns
        )
        if field == "subject" and case:
            column = stated.get(field) or ("subject" if "subject" in table.columns[1:] else table.columns[0])
        if column is not None and column not in table.columns:
            raise PolytaskError(
                f"{table.path}: no column {column!r}; expected the {field}; {suggest_word(column, table.columns[:20])}"
            )
        if column is not None and column not in identity_columns.values():
            identity_columns[field] = column
    # A column `fold` is the split only if all of its words are train, val or test; numbers are folds.
    folds = [c for c in table.columns if c.lower() == "fold" and "split" not in identity_columns]
    if folds and {row.cells.get(folds[0], "").lower() for row in table.rows} <= {*SPLIT_WORDS, ""}:
        identity_columns["split"] = folds[0]
    if "subject" not in identity_columns:
        lower = {c.lower(): c for c in reversed(table.columns)}
        pictures = next(
            (lower[n] for n in IMAGE_ID_NAMES if n in lower and lower[n] not in identity_columns.values()),
            None,
        )
        if pictures is None:
            raise PolytaskError(
                f"{table.path}: no column names the subject; expected `subject` or `patient_id`; "
                f"name it with --subject COLUMN{_propose_subject_columns(table)}"
            )
        identity_columns = {"subject": pictures, **identity_columns}
    column = identity_columns["subject"]
    cells = [row.cells.get(column, "") for row in table.rows]
    files = any(cells) and all(not cell or find_image_ending(cell) not in (None, "/") for cell in cells)
    if files and len({_strip_folders_and_ending(cell) for cell in cells}) < len(set(cells)):
        raise PolytaskError(
            f"{table.path}: files of column {column!r} in different folders have the same name; expected a name for "
            "each subject; name another column with --subject COLUMN, or add one"
        )
    return SheetIdentity(identity_columns, column if files else "")


def _separate_identity(
    cells: Mapping[str, str], identity: SheetIdentity, unknown: set[str], case: str
) -> dict[str, str]:
    """Return the cells of a row with unknown ones empty and its identity under the names of our own tables."""
    known = {column: "" if cell in unknown else cell for column, cell in cells.items()}
    identity_cells = {field: known.get(column, "") for field, column in identity.columns.items()}
    if identity.pictures:
        identity_cells["subject"] = _strip_folders_and_ending(identity_cells["subject"])
    other_cells = {
        c: v for c, v in known.items() if c not in identity.columns.values() or c == identity.pictures
    }
    if case:
        identity_cells["case"] = cells[case]
        other_cells.pop(case, None)
    return {**other_cells, **identity_cells}


def _propose_subject_columns(table: TextTable) -> str:
    """Suggest columns that could name the subject: filled in every row and different in every row."""
    count = len(table.rows)
    unique_columns = [
        c for c in table.columns if len({row.cells.get(c, "") for row in table.rows} - {""}) == count
    ]
    return (
        f", e.g. {list_examples(unique_columns, 3)} (different in every row)"
        if unique_columns and count
        else ""
    )


def _strip_folders_and_ending(cell: str) -> str:
    """Return the name of a file without folders and without its image ending."""
    name = cell.replace("\\", "/").rpartition("/")[2]
    return name[: len(name) - len(find_image_ending(name) or "")]
