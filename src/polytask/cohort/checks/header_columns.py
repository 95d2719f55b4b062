"""Check the columns of the table against the header: missing columns, and columns that the header does not name."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.case_loading import IDENTITY_COLUMNS
from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import VoxelSpec, list_optional_columns, list_task_columns
from polytask.errors import Problem, suggest_word
from polytask.kinds import find_voxel_kind

MAX_COMPARED_COLUMNS = 20
"""Only for this many missing columns a similar name is searched: comparing every pair of names takes long."""


def check_header_columns(evidence: Evidence) -> Iterator[Problem]:
    """Find columns that the header names and the table lacks, and columns that only the table has."""
    header, present = evidence.header, dict.fromkeys(evidence.table.columns)
    wanted = dict(header.input_columns)
    allowed = {*IDENTITY_COLUMNS, *wanted, *header.groupings}
    for name, task in header.tasks.items():
        allowed.update((*list_task_columns(name, task), *list_optional_columns(name, task)))
        stem = task.column or name
        if isinstance(task, VoxelSpec) and stem not in present:
            single = find_voxel_kind(task.kind).list_part_columns(task, stem)
            if any(column in present for column in single):
                wanted |= dict.fromkeys(single, name)
                continue
        wanted |= dict.fromkeys(list_task_columns(name, task), name)
    spare = [c for c in present if c not in allowed]
    missing = 0
    for column, owner in wanted.items():
        if column not in present:
            missing += 1
            remedy = "add the column (empty cells are unknown), or remove it from cohort.yaml"
            close = suggest_word(column, spare) if missing <= MAX_COMPARED_COLUMNS else ""
            remedy = close if close.startswith("did you") else remedy
            yield evidence.make_problem(
                "error",
                "missing-column",
                f"no column {column!r}, which {owner!r} reads",
                remedy,
                row=1,
                column=column,
            )
    if spare:
        names = ", ".join(repr(c) for c in spare[:8]) + (
            f" and {len(spare) - 8} more" if len(spare) > 8 else ""
        )
        yield evidence.make_problem(
            "warning",
            "unlisted-column",
            f"columns not in the header are ignored: {names}",
            "list them in cohort.yaml if they matter",
            row=1,
        )
