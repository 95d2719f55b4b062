"""Which columns of a large table are encoded together first: as the header says, else by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from polytask.cohort.header import Column

MOST_COLUMNS = 64
"""More numeric columns than these are grouped, and chunks hold as many."""
MOST_GROUPS = 64
PATTERNS = {"last part": r"[^_.]+$", "part before the last": r"^.+(?=[_.][^_.]*$)", "first part": r"^[^_.]+"}
"""Where in a name like `TP53_mut` or `expr.TP53` the group may stand."""


def column_groups(columns: Mapping[str, Column], kept: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """Kept column → its group, and how the groups came about ("" without groups).

    The pattern is looked for in all columns of the header, so that it is the same in every fold.
    """
    groups = {column: columns[column].group for column in kept}
    free = [c for c, spec in columns.items() if spec.type == "number" and spec.group is None]
    how = "as the header says" if any(groups.values()) else ""
    if len(free) > MOST_COLUMNS:
        among = set(free)
        rest = [column for column in kept if column in among]
        pattern = _pattern(free)
        if pattern is not None:
            groups |= {column: _part(pattern, column) for column in rest}
            how = f"by the {pattern} of the name"
        elif len(rest) > MOST_COLUMNS:
            for start in range(0, len(rest), MOST_COLUMNS):
                chunk = rest[start : start + MOST_COLUMNS]
                groups |= dict.fromkeys(chunk, f"{start + 1}-{start + len(chunk)}")
            how = f"at most {MOST_COLUMNS} neighbours, as their names show no groups"
    return groups, how


def _pattern(columns: Sequence[str]) -> str | None:
    """The part of the names that makes 2 to 64 groups of two columns or more."""
    for pattern in PATTERNS:
        parts = Counter(_part(pattern, column) for column in columns)
        if None not in parts and 2 <= len(parts) <= MOST_GROUPS and min(parts.values()) >= 2:
            return pattern
    return None


def _part(pattern: str, column: str) -> str | None:
    """A part of a name of several parts."""
    found = re.search(PATTERNS[pattern], column)
    return found.group() if found and found.group() != column else None
