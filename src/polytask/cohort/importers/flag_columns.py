"""Group columns of yes and no that share the start of their names: they become one multilabel task."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polytask.cohort.importers.foreign_sheet import ForeignSheet
from polytask.kinds.header_words import parse_cell_number

MIN_GROUPED_FLAGS = 3
"""Flags with the same start become one task when there are at least this many."""
_FLAG_YES_WORDS = frozenset({"yes", "y", "true", "present"})
_FLAG_NO_WORDS = frozenset({"no", "n", "false", "absent"})
_FLAG_PREFIX = re.compile(r"^([A-Za-z][A-Za-z0-9]*)[_. :-]+(?=\S)")


def group_flag_columns(
    sheet: ForeignSheet, columns: Sequence[str], least: int = MIN_GROUPED_FLAGS
) -> dict[str, list[str]]:
    """Map each common start of names to its columns of yes and no: `has` → has_effusion, has_edema, has_nodule."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        match = _FLAG_PREFIX.match(column)
        if match and is_flag_column(sheet, column):
            groups.setdefault(match[1], []).append(column)
    return {start: flags for start, flags in groups.items() if len(flags) >= least}


def is_flag_column(sheet: ForeignSheet, column: str) -> bool:
    """Whether a column has a filled cell and every filled cell says yes or no."""
    words = sheet.parse(column).words
    return 0 < len(words) <= 4 and all(parse_flag_word(word) for word in words)


def parse_flag_word(word: str) -> str:
    """Read a yes or no: returns "1" for yes, "0" for no, "" for anything else."""
    value = parse_cell_number(word)
    if value is not None:
        return {1.0: "1", 0.0: "0"}.get(value, "")
    plain = word.lower()
    return "1" if plain in _FLAG_YES_WORDS else "0" if plain in _FLAG_NO_WORDS else ""


def strip_flag_prefix(column: str) -> str:
    """Return what a flag is about: its column name without the common start."""
    return _FLAG_PREFIX.sub("", column)
