"""Read an Excel workbook as a table of text with openpyxl (an optional dependency); nothing in it is run."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from polytask.cohort.open_table import check_table_size
from polytask.cohort.text_table import TextTable, make_text_table
from polytask.errors import PolytaskError, suggest_word

WORKBOOK_ENDINGS = (".xlsx", ".xlsm")


def is_workbook(path: Path) -> bool:
    """Whether a path names an Excel workbook, also with a sheet name at the end (`a.xlsx#Sheet2`)."""
    return path.name.partition("#")[0].lower().endswith(WORKBOOK_ENDINGS)


def read_workbook(path: Path, notes: list[str]) -> TextTable:
    """Read the first sheet of a workbook, or the one named after `#`: `patients.xlsx#Sheet2`.

    Raises:
        PolytaskError: openpyxl is not installed, the file is not a workbook, or there is no such sheet.
    """
    name, _, wanted = path.name.partition("#")
    file = path.with_name(name)
    try:
        import openpyxl
    except ImportError:
        raise PolytaskError(
            f"{file}: reading Excel files needs openpyxl; expected it to be installed; run "
            '`pip install "polytask[xlsx]"`, or save the sheet as CSV (UTF-8)'
        ) from None
    try:
        # Before openpyxl opens it: a small workbook can decompress to more than memory holds.
        with zipfile.ZipFile(file) as packed:
            check_table_size(file, sum(part.file_size for part in packed.infolist()))
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    except OSError as error:
        raise PolytaskError(
            f"{file}: cannot be read ({error.strerror}); expected a workbook; correct the path"
        ) from None
    except PolytaskError:
        raise
    except Exception as error:  # openpyxl raises what its XML and zip readers raise
        raise PolytaskError(
            f"{file}: not an Excel workbook ({type(error).__name__}); expected .xlsx; save it again, or as CSV"
        ) from None
    try:
        sheets = book.sheetnames
        if wanted and wanted not in sheets:
            raise PolytaskError(f"{file}: no sheet {wanted!r}; {suggest_word(wanted, sheets)}")
        if len(sheets) > 1:
            others = ", ".join(repr(s) for s in sheets if s != (wanted or sheets[0]))
            notes.append(
                f"{file.name}: sheet {wanted or sheets[0]!r} is read, not {others} ({name}#SHEET reads another)"
            )
        return make_text_table(file, _read_sheet_lines(book[wanted or sheets[0]]))
    finally:
        book.close()


def _read_sheet_lines(sheet: Any) -> list[tuple[int, list[str]]]:
    """List (line number, cells) of all lines that are not empty; empty columns at the right end are left out."""
    lines = [
        (n, [_format_sheet_cell(cell) for cell in row]) for n, row in enumerate(sheet.iter_rows(), start=1)
    ]
    lines = [(n, cells) for n, cells in lines if any(cells)]
    width = max((k for _, cells in lines for k, cell in enumerate(cells, start=1) if cell), default=0)
    return [(n, [*cells, *[""] * (width - len(cells))][:width]) for n, cells in lines]


def _format_sheet_cell(cell: Any) -> str:
    """Format a cell as the sheet shows it: whole numbers without a point, `0012` if its format has four digits."""
    value = cell.value
    if value is None:
        return ""
    # bool first, since True is an int too; datetime before date, since every datetime is a date.
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        form = str(getattr(cell, "number_format", "") or "")
        whole = float(value).is_integer() and abs(value) < 1e15
        text = f"{value:.0f}" if whole else repr(value)
        return text.zfill(len(form)) if whole and form and set(form) == {"0"} else text
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(sep=" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return " ".join(str(value).split())
