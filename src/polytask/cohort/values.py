"""What the cells of a cohort say: files of inputs, masks and doses, values of tasks and columns.

Unknown is None (or a False flag), never zero. An odd cell is a `PolytaskError` with its place; `polytask check`
lists all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import (
    PooledSpec,
    SegmentationSpec,
    VoxelSpec,
)
from polytask.errors import PolytaskError
from polytask.kinds import cells, find_pooled_kind
from polytask.kinds.kind import IncompleteAnswer, Value

T = TypeVar("T")
ABSENT = "absent"
"""The word in a structure's own column that says: known not to be there."""


@dataclass(frozen=True)
class VoxelSource:
    """Where the target of a voxel task comes from.

    Args:
        paths: one file (label map, 4-D structures in the header's order, dose), or for structures with columns of
            their own one per structure, None where there is no file.
        known: per structure, whether it is known where it is (a dose: one entry, True).
        absent: per structure, whether the word `absent` stands for its mask.
        region: mask of where the target counts, None = everywhere.
        single: whether `paths` goes by structure.
    """

    paths: tuple[Path | None, ...]
    known: tuple[bool, ...]
    absent: tuple[bool, ...]
    region: Path | None = None
    single: bool = False


def image_paths(cohort: Cohort, case: Case, input: str) -> dict[str, Path | None]:
    """Channel → file of an image input, None where unknown."""
    channels = cohort.header.images[input].channels
    return {channel: _path(cohort, case, f"{input}.{channel}") for channel in channels}


def slide_path(cohort: Cohort, case: Case, input: str) -> Path | None:
    """File of a slide input, None where unknown. Subject level: the cell may stand on any row of the subject."""
    if cohort.header.slides[input].level == "visit":
        return _path(cohort, case, input)
    rows = cohort.subjects[case.subject]
    return next((p for row in rows if (p := _path(cohort, row, input)) is not None), None)


def voxel_source(cohort: Cohort, case: Case, task: str) -> VoxelSource | None:
    """The files of a voxel task at a case, None when nothing of it is known.

    Structures are those of the files: the header's, or those of `cohort.written`, of which only what the header asks
    for is known.
    """
    written = cohort.written.get(task)
    spec = cohort.header.tasks[task] if written is None else written.spec
    if not isinstance(spec, VoxelSpec):
        raise TypeError(f"{task} is not a voxel task")
    stem = spec.column or task
    region = _path(cohort, case, f"{stem}_region")
    whole = _path(cohort, case, stem)
    if not isinstance(spec, SegmentationSpec):  # one value per voxel: known where there is a file
        return None if whole is None else VoxelSource((whole,), (True,), (False,), region)
    listed = _read(cohort, case, f"{stem}_known", lambda cell: cells.read_names(cell, spec.names))
    asked = spec.names if written is None else written.used
    known = tuple((listed is None or name in listed) and name in asked for name in spec.names)
    if whole is not None:
        return VoxelSource((whole,), known, (False,) * len(known), region) if any(known) else None
    words = [case.cells.get(f"{stem}.{name}") for name in spec.names] if spec.structures else []
    told = tuple(k and w is not None for k, w in zip(known, words, strict=False))
    if not any(told):
        return None
    paths = tuple(
        cohort.path(w) if k and w and w != ABSENT else None for k, w in zip(told, words, strict=True)
    )
    return VoxelSource(
        paths, told, tuple(k and w == ABSENT for k, w in zip(told, words, strict=True)), region, True
    )


def pooled_value(cohort: Cohort, cases: Sequence[Case], task: str) -> Value | None:
    """The answer of a visit or subject task, None where unknown.

    A visit task is answered by the cells of `cases[0]` (None at a visit outside its `visits`); a subject task by all
    rows of the subject, whichever cases are given.

    Returns:
        index of the class (classification, ordinal), number (regression), (time, event) (survival) or 0, 1, None per
        label (multilabel).
    """
    spec = cohort.header.tasks[task]
    if not isinstance(spec, PooledSpec):
        raise TypeError(f"{task} is a voxel task")
    if spec.level == "subject":
        rows: Sequence[Case] = cohort.subjects[cases[0].subject]
    else:
        rows = cases[:1]
        if spec.visits is not None and cohort.header.visits and rows[0].visit not in spec.visits:
            return None

    def read(column: str, parse: Callable[[str], T | None]) -> T | None:
        return _first(cohort, rows, column, parse)

    try:
        return find_pooled_kind(spec.kind).read_answer(spec, spec.column or task, read)
    except IncompleteAnswer as lack:
        raise PolytaskError(f"{cohort.table}, subject {rows[0].subject}: {lack}") from None


def column_value(cohort: Cohort, cases: Sequence[Case], table: str, column: str) -> float | str | None:
    """A cell of a table input: number, or the category as the header spells it; None where unknown.

    Visit level: the cell of `cases[0]`; subject level: any row of the subject.
    """
    spec = cohort.header.tables[table].columns[column]
    rows = cohort.subjects[cases[0].subject] if spec.level == "subject" else cases[:1]
    if spec.type == "number":
        return _first(cohort, rows, column, lambda cell: cells.read_number(cell, spec.bounds))
    values = spec.values
    return _first(
        cohort, rows, column, lambda cell: cell if values is None else values[cells.find_word(cell, values)]
    )


def _path(cohort: Cohort, case: Case, column: str) -> Path | None:
    cell = case.cells.get(column)
    return None if cell is None else cohort.path(cell)


def _first(cohort: Cohort, rows: Sequence[Case], column: str, parse: Callable[[str], T | None]) -> T | None:
    for case in rows:
        value = _read(cohort, case, column, parse)
        if value is not None:
            return value
    return None


def _read(cohort: Cohort, case: Case, column: str, parse: Callable[[str], T | None]) -> T | None:
    cell = case.cells.get(column)
    if cell is None:
        return None
    try:
        return parse(cell)
    except cells.OddCell as odd:
        place = f"{cohort.table}, row {case.row}, subject {case.subject}, column {column}"
        raise PolytaskError(f"{place}: {odd.message}; {odd.remedy}") from None
