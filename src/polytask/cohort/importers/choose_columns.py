"""Find the columns that a person means: by names, by patterns such as `original_*`, or from a file that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from polytask.documents.text_reader import read_text
from polytask.errors import PolytaskError, suggest_word

ALL_OTHER_COLUMNS = "*"
"""The word that means: every column that nothing else reads is an input."""


def expand_column_patterns(
    columns: Sequence[str], wanted: Sequence[str], where: Path, flag: str
) -> list[str]:
    """List the columns that are named or fit a pattern; the columns of one pattern are in the order of the table.

    The word `*` alone is skipped: what it means depends on the columns that are still free, which the caller knows.

    Raises:
        PolytaskError: a name is not a column, or a pattern fits no column.
    """
    known = set(columns)
    chosen: dict[str, None] = {}
    for word in wanted:
        if word == ALL_OTHER_COLUMNS:
            continue
        # Exact names first: a column may be called `a[1]`, which as a pattern would mean `a1`.
        fitting = [word] if word in known else [c for c in columns if fnmatchcase(c, word)]
        if not fitting:
            what = "column fits the pattern" if set(word) & set("*?[") else "column"
            raise PolytaskError(
                f"{where}: no {what} {word!r} for {flag}; {suggest_word(word, list(columns)[:200])}"
            )
        chosen |= dict.fromkeys(fitting)
    return list(chosen)


def read_column_list(path: Path) -> list[str]:
    """Read column names or patterns from a text file, one per line; skips empty lines and those that start with #."""
    lines = read_text(path, "a column name per line", "save it as UTF-8 text").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
