"""Find the separator of a foreign table from its first lines: comma, semicolon, tab or bar."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

from polytask.cohort.open_table import open_table
from polytask.cohort.text_table import choose_separator, count_columns
from polytask.errors import PolytaskError

SEPARATOR_LABELS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'"}
"""Separator → its name in messages."""
_SEPARATORS_BY_WORD = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "pipe": "|", "\\t": "\t"}
SEPARATOR_SAMPLE_LINES = 200
"""Number of lines from which the separator is found."""
_SEPARATOR_DIRECTIVE = re.compile(r"sep=(.)\r?\n?")
"""Matches `sep=;`, a first line with which Excel states the separator."""


def check_separator(word: str) -> str:
    """Return the separator that a person stated, as a character or in words, or raise if it is none."""
    separator = _SEPARATORS_BY_WORD.get(word.lower(), word)
    if separator not in SEPARATOR_LABELS:
        raise PolytaskError(
            f"--separator {word!r}: expected comma, semicolon, tab or bar; give what separates the cells"
        )
    return separator


def find_separator(path: Path, encoding: str, stated: str = "") -> tuple[str, int]:
    """Find the separator of a table. Returns (separator, number of lines before the column names).

    Args:
        stated: the separator, where a person stated it; "" = to be found.

    Raises:
        PolytaskError: two separators give every row the same number of cells.
    """
    by_name = choose_separator(path)
    try:
        with open_table(path, encoding) as file:
            lines = list(islice(file, SEPARATOR_SAMPLE_LINES))
    except (OSError, UnicodeError):
        return stated or by_name, 0  # the reader of the table reports the error
    directive = _SEPARATOR_DIRECTIVE.fullmatch(lines[0]) if lines else None
    if directive is not None and directive[1] in SEPARATOR_LABELS:
        return stated or directive[1], 1
    if stated:
        return stated, 0
    widths = {mark: width for mark in SEPARATOR_LABELS if (width := count_columns(lines, mark)) > 1}
    if not widths:
        return by_name, 0
    if len(widths) == 1:
        return next(iter(widths)), 0
    choices = " or ".join(f"{SEPARATOR_LABELS[mark]} ({width} columns)" for mark, width in widths.items())
    raise PolytaskError(
        f"{path}: cells may be separated by {choices}; expected one separator; add --separator comma, semicolon, "
        "tab or bar"
    )
