"""Text that a spreadsheet would run as a formula: written behind an apostrophe, read without it."""

from __future__ import annotations

import re
from collections.abc import Iterable

STARTS = "=+-@"
"""What Excel, LibreOffice and Google Sheets take for the start of a formula."""
_SKIPPED = "' \t\r\n"
_FIRST = frozenset(STARTS + _SKIPPED)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_cell(cell: str) -> str:
    """A cell as our CSV files write it: text that starts with = + - @ and is no number gets an apostrophe.

    Text that already has apostrophes there gets one more, so that `restore_cell` always gives back what was written.

    >>> [escape_cell(c) for c in ("=1+1", "-0.5", "+a", "'=x", "a=b")]
    ["'=1+1", '-0.5', "'+a", "''=x", 'a=b']
    """
    return f"'{cell}" if cell[:1] in _FIRST and _looks_like_formula(cell) else cell


def escape_cells(cells: Iterable[object]) -> list[str]:
    """A row for a CSV writer, every cell as text; None is an empty cell."""
    texts = ["" if cell is None else str(cell) for cell in cells]
    return [escape_cell(text) if text[:1] in _FIRST else text for text in texts]


def restore_cell(cell: str) -> str:
    """A cell of a CSV file as it was before `escape_cell`.

    >>> [restore_cell(c) for c in ("'=1+1", "-0.5", "''=x", "'tis")]
    ['=1+1', '-0.5', "'=x", "'tis"]
    """
    return cell[1:] if cell.startswith("'") and _looks_like_formula(cell) else cell


def restore_cells(cells: Iterable[str]) -> list[str]:
    """A row of a CSV reader without blanks around its cells, as it was before `escape_cells`."""
    stripped = [cell.strip() for cell in cells]
    return [restore_cell(cell) if cell[:1] == "'" else cell for cell in stripped]


def _looks_like_formula(cell: str) -> bool:
    start = cell.lstrip(_SKIPPED)[:1]
    return start != "" and start in STARTS and not _NUMBER.fullmatch(cell)
