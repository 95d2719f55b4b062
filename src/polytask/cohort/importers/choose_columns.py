"""Which columns a person means: names, patterns such as `original_*`, and files that list or hold them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from polytask.documents.text import read_text
from polytask.errors import PolytaskError, nearest

REST = "*"
"""The word for an input of every column that nothing else reads."""


def expand_patterns(columns: Sequence[str], wanted: Sequence[str], where: Path, flag: str) -> list[str]:
    """Columns that are named or fit a pattern, in the order of the table for each; `*` alone is left to the caller.

    Raises:
        PolytaskError: a name that is no column, or a pattern that fits none.
    """
    known = set(columns)
    found: dict[str, None] = {}
    for word in wanted:
        if word == REST:
            continue
        fitting = [word] if word in known else [c for c in columns if fnmatchcase(c, word)]
        if not fitting:
            what = "column fits the pattern" if set(word) & set("*?[") else "column"
            raise PolytaskError(
                f"{where}: no {what} {word!r} for {flag}; {nearest(word, list(columns)[:200])}"
            )
        found |= dict.fromkeys(fitting)
    return list(found)


def read_column_list(path: Path) -> list[str]:
    """Names or patterns from a text file, one a line; empty lines and lines that start with # are left out."""
    lines = read_text(path, "a column name per line", "save it as UTF-8 text").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
