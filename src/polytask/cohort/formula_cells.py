"""Escape text that a spreadsheet would run as a formula: it is written with an apostrophe and read without it."""

from __future__ import annotations

import re
from collections.abc import Iterable

FORMULA_STARTS = "=+-@"
"""Characters that Excel, LibreOffice and Google Sheets take as the start of a formula."""
_LEADING_IGNORED = "' \t\r\n"
_ESCAPED_STARTS = frozenset(FORMULA_STARTS + _LEADING_IGNORED)
_PLAIN_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_cell(cell: str) -> str:
    """Escape one cell for CSV: text that starts with = + - @ and is not a number gets an apostrophe in front.

    Text that already starts with apostrophes gets one more, so that `restore_cell` always gives back the original.

    >>> [escape_cell(c) for c in ("=1+1", "-0.5", "+a", "'=x", "a=b")]
    ["'=1+1", '-0.5', "'+a", "''=x", 'a=b']
    """
    return f"'{cell}" if cell[:1] in _ESCAPED_STARTS and _looks_like_formula(cell) else cell


def escape_cells(cells: Iterable[object]) -> list[str]:
    """Escape a row for a CSV writer. Every cell becomes text; None becomes an empty cell."""
    texts = ["" if cell is None else str(cell) for cell in cells]
    # The check of the first character spares nearly all cells the slower test of `escape_cell`.
    return [escape_cell(text) if text[:1] in _ESCAPED_STARTS else text for text in texts]


def restore_cell(cell: str) -> str:
    """Undo `escape_cell` for one cell of a CSV file.

    >>> [restore_cell(c) for c in ("'=1+1", "-0.5", "''=x", "'tis")]
    ['=1+1', '-0.5', "'=x", "'tis"]
    """
    return cell[1:] if cell.startswith("'") and _looks_like_formula(cell) else cell


def restore_cells(cells: Iterable[str]) -> list[str]:
    """Undo `escape_cells` for a row of a CSV reader, and strip the blanks around each cell."""
    stripped = [cell.strip() for cell in cells]
    return [restore_cell(cell) if cell[:1] == "'" else cell for cell in stripped]


def _looks_like_formula(cell: str) -> bool:
    # Spreadsheets skip blanks before a formula, so that these do not make "=1+1" safe.
    start = cell.lstrip(_LEADING_IGNORED)[:1]
    return start != "" and start in FORMULA_STARTS and not _PLAIN_NUMBER.fullmatch(cell)
