"""Groups the columns of a large table, which are encoded group by group: as the header says, else by their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from polytask.cohort.header import Column

MAX_UNGROUPED_COLUMNS = 64
"""A table with more numeric columns than this gets groups; a group of neighbors holds at most this many columns."""
MAX_COLUMN_GROUPS = 64
GROUP_NAME_PATTERNS = {
    "last part": r"[^_.]+$",
    "part before the last": r"^.+(?=[_.][^_.]*$)",
    "first part": r"^[^_.]+",
}
"""Description → pattern: where the group may stand in a name like `TP53_mut` or `expr.TP53`."""


def group_columns(columns: Mapping[str, Column], kept: Sequence[str]) -> tuple[dict[str, str | None], str]:
    """Return (kept column → its group or None, how the groups were made; "" without groups).

    The pattern is searched in all columns of the header, not only in the kept ones, so that it is the same in every
    fold.
    """
    groups = {column: columns[column].group for column in kept}
    free = [c for c, spec in columns.items() if spec.type == "number" and spec.group is None]
    how = "as in the header" if any(groups.values()) else ""
    if len(free) > MAX_UNGROUPED_COLUMNS:
        among = set(free)
        rest = [column for column in kept if column in among]
        pattern = _find_group_pattern(free)
        if pattern is not None:
            groups |= {column: _extract_group_name(pattern, column) for column in rest}
            how = f"by the {pattern} of the name"
        elif len(rest) > MAX_UNGROUPED_COLUMNS:
            for start in range(0, len(rest), MAX_UNGROUPED_COLUMNS):
                chunk = rest[start : start + MAX_UNGROUPED_COLUMNS]
                groups |= dict.fromkeys(chunk, f"{start + 1}-{start + len(chunk)}")
            how = f"at most {MAX_UNGROUPED_COLUMNS} neighboring columns each, because their names show no groups"
    return groups, how


def _find_group_pattern(columns: Sequence[str]) -> str | None:
    """Find the part of the names that divides the columns into 2 to 64 groups of at least two columns each."""
    for pattern in GROUP_NAME_PATTERNS:
        parts = Counter(_extract_group_name(pattern, column) for column in columns)
        if None not in parts and 2 <= len(parts) <= MAX_COLUMN_GROUPS and min(parts.values()) >= 2:
            return pattern
    return None


def _extract_group_name(pattern: str, column: str) -> str | None:
    """Extract the group from the name of a column; None for a name that has only one part."""
    match = re.search(GROUP_NAME_PATTERNS[pattern], column)
    return match.group() if match and match.group() != column else None
