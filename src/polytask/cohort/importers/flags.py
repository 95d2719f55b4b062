"""Group columns of yes and no that share the start of their names: they become one multilabel task."""

from __future__ import annotations

import re
from collections.abc import Sequence

from polytask.cohort.importers.sheet import Sheet
from polytask.kinds.words import number

LEAST = 3
"""At least this many flags with the same start become one task."""
_YES = frozenset({"yes", "y", "true", "present"})
_NO = frozenset({"no", "n", "false", "absent"})
_START = re.compile(r"^([A-Za-z][A-Za-z0-9]*)[_. :-]+(?=\S)")


def group_flags(sheet: Sheet, columns: Sequence[str], least: int = LEAST) -> dict[str, list[str]]:
    """Map each common start of names to its columns of yes and no: `has` → has_effusion, has_edema, has_nodule."""
    found: dict[str, list[str]] = {}
    for column in columns:
        match = _START.match(column)
        if match and is_flag(sheet, column):
            found.setdefault(match[1], []).append(column)
    return {start: flags for start, flags in found.items() if len(flags) >= least}


def is_flag(sheet: Sheet, column: str) -> bool:
    """Whether a column has a filled cell and every filled cell says yes or no."""
    words = sheet.parse(column).words
    return 0 < len(words) <= 4 and all(read_flag(word) for word in words)


def read_flag(word: str) -> str:
    """Read a yes or no: returns "1" for yes, "0" for no, "" for anything else."""
    value = number(word)
    if value is not None:
        return {1.0: "1", 0.0: "0"}.get(value, "")
    plain = word.lower()
    return "1" if plain in _YES else "0" if plain in _NO else ""


def name_of_flag(column: str) -> str:
    """Return what a flag is about: its column name without the common start."""
    return _START.sub("", column)
