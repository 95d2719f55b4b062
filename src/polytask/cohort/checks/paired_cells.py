"""Check cells that need another cell: time and event, known structures and their mask, a mask and its image."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.cell_values import ABSENT
from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import EventTimeSpec, VoxelSpec
from polytask.errors import Problem
from polytask.kinds import find_voxel_kind


def check_paired_cells(evidence: Evidence) -> Iterator[Problem]:
    """Find cells that mean nothing without another cell that is empty, and cells that contradict each other."""
    for name, task in evidence.header.tasks.items():
        if isinstance(task, EventTimeSpec):
            yield from _check_time_and_event(evidence, task.column or name, task.counts_by_subject)
        elif isinstance(task, VoxelSpec):
            yield from _check_mask_cells(evidence, task.column or name, task)


def _check_time_and_event(evidence: Evidence, stem: str, by_subject: bool) -> Iterator[Problem]:
    """Find survival answers with a time but no event, or an event but no time."""
    cohort = evidence.cohort
    for group in cohort.subjects.values() if by_subject else [(case,) for case in cohort.cases]:
        time, event = (any(f"{stem}_{x}" in c.cells for c in group) for x in ("time", "event"))
        if time != event:
            has, lacks = ("time", "event") if time else ("event", "time")
            row = next(c.row for c in group if f"{stem}_{has}" in c.cells)
            message = f"{stem}_{has} is filled, {stem}_{lacks} is empty"
            remedy = "fill both (event 0 = censored) or neither"
            place = (row, group[0].subject, f"{stem}_{lacks}")
            yield evidence.make_problem("error", "time-or-event", message, remedy, *place)


def _check_mask_cells(evidence: Evidence, stem: str, task: VoxelSpec) -> Iterator[Problem]:
    """Find masks that are given twice, known structures without a mask, and masks without an image."""
    parts = find_voxel_kind(task.kind).list_part_columns(task, stem)
    channels = [f"{task.image}.{c}" for c in evidence.header.images[task.image].channels]
    for case in evidence.cohort.cases:
        place = (case.row, case.subject, stem)
        single = [column for column in parts if column in case.cells]
        files = [c for c in (stem, *single) if c in case.cells and (c == stem or case.cells[c] != ABSENT)]
        if stem in case.cells and single:
            message, remedy = (
                f"{stem} and {single[0]} are both filled",
                "keep either the 4-D file or the files of the single structures",
            )
            yield evidence.make_problem("error", "two-masks", message, remedy, *place)
        if f"{stem}_known" in case.cells and not files and not single:
            message, remedy = (
                f"{stem}_known is filled, but there is no mask",
                f"fill {stem}, or empty {stem}_known",
            )
            yield evidence.make_problem("warning", "known-without-mask", message, remedy, *place)
        if files and not any(c in case.cells for c in channels):
            message = f"{files[0]} is filled, but {task.image!r} has no image in this row"
            yield evidence.make_problem(
                "warning", "mask-without-image", message, "fill the image, or empty the cell", *place
            )
