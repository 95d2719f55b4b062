"""Read the cells of a cohort: paths of inputs, masks and doses, answers of tasks, values of table columns.

An unknown cell gives None (or a False flag), never zero. A cell that cannot be read raises a `PolytaskError` that
names its place; `polytask check` lists all such cells at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.header import (
    Column,
    EventTimeSpec,
    MaskSpec,
    PooledSpec,
    VoxelSpec,
)
from polytask.cohort.landmark_times import count_from_landmark
from polytask.errors import PolytaskError
from polytask.kinds import cell_readers, find_pooled_kind
from polytask.kinds.applicability import find_condition
from polytask.kinds.class_words import list_answers
from polytask.kinds.header_words import is_same_word
from polytask.kinds.kind import AnswerValue, IncompleteAnswer

T = TypeVar("T")
ABSENT = "absent"
"""Word in a structure's own column: somebody looked and the structure is not there (a known empty mask)."""


@dataclass(frozen=True)
class VoxelSource:
    """The files that hold the target of one voxel task at one case.

    Args:
        paths: one file (label map, 4-D file with structures in the header's order, or dose). If each structure has
            its own column: one path per structure, None where there is no file.
        known: per structure, whether its mask is known (a dose: one entry, True).
        absent: per structure, whether the word `absent` takes the place of its mask.
        region: mask of the voxels where the target counts; None = everywhere.
        single: whether `paths` has one entry per structure.
    """

    paths: tuple[Path | None, ...]
    known: tuple[bool, ...]
    absent: tuple[bool, ...]
    region: Path | None = None
    single: bool = False


def image_paths(cohort: Cohort, case: Case, input: str) -> dict[str, Path | None]:
    """Map each channel of an image input to its file; None where it is unknown."""
    channels = cohort.header.images[input].channels
    return {channel: _find_cell_path(cohort, case, f"{input}.{channel}") for channel in channels}


def slide_path(cohort: Cohort, case: Case, input: str) -> Path | None:
    """Find the file of a slide input; None where it is unknown.

    A slide of level `subject` may be named in any row of the subject; the first filled cell counts.
    """
    if cohort.header.slides[input].level == "visit":
        return _find_cell_path(cohort, case, input)
    rows = cohort.subjects[case.subject]
    return next((p for row in rows if (p := _find_cell_path(cohort, row, input)) is not None), None)


def voxel_source(cohort: Cohort, case: Case, task: str) -> VoxelSource | None:
    """Find the files of a voxel task at a case; None when nothing of the target is known.

    The structures are those of the files: as in the header, or as in `cohort.written` where the files use other
    names. In the second case only structures that the header asks for count as known.
    """
    written = cohort.written.get(task)
    spec = cohort.header.tasks[task] if written is None else written.spec
    if not isinstance(spec, VoxelSpec):
        raise TypeError(f"{task} is not a voxel task")
    stem = spec.column or task
    region = _find_cell_path(cohort, case, f"{stem}_region")
    whole = _find_cell_path(cohort, case, stem)
    if not isinstance(spec, MaskSpec):  # one value per voxel: known where there is a file
        return None if whole is None else VoxelSource((whole,), (True,), (False,), region)
    listed = _parse_known_cell(
        cohort, case, f"{stem}_known", lambda cell: cell_readers.read_structure_names(cell, spec.names)
    )
    needed = spec.names if written is None else written.used
    known = tuple((listed is None or name in listed) and name in needed for name in spec.names)
    if whole is not None:
        return VoxelSource((whole,), known, (False,) * len(known), region) if any(known) else None
    words = [case.cells.get(f"{stem}.{name}") for name in spec.names] if spec.structures else []
    # An empty cell of a structure's own column means unknown, so that this structure must not count in the loss.
    structure_known = tuple(k and w is not None for k, w in zip(known, words, strict=False))
    if not any(structure_known):
        return None
    paths = tuple(
        cohort.path(w) if k and w and w != ABSENT else None
        for k, w in zip(structure_known, words, strict=True)
    )
    return VoxelSource(
        paths,
        structure_known,
        tuple(k and w == ABSENT for k, w in zip(structure_known, words, strict=True)),
        region,
        True,
    )


def pooled_value(cohort: Cohort, cases: Sequence[Case], task: str) -> AnswerValue | None:
    """Read the answer of a visit-level or subject-level task; None where it is unknown or the task does not apply.

    A visit task is read from `cases[0]` (None at a visit that is not among the task's `visits`). A subject task is
    read from all rows of the subject, no matter which cases are given. A task with landmarks is read from all rows too,
    and counted from the visit of `cases[0]`.

    Returns:
        class index (classification, ordinal), number (regression), (time, event) (survival), or per label 0, 1 or
        None (multilabel).
    """
    spec = cohort.header.tasks[task]
    if not isinstance(spec, PooledSpec):
        raise TypeError(f"{task} is a voxel task")
    if does_task_apply(cohort, cases, task) is False:
        return None
    at_landmark = isinstance(spec, EventTimeSpec) and bool(spec.landmarks)
    if spec.level == "subject" or at_landmark:
        rows: Sequence[Case] = cohort.subjects[cases[0].subject]
    else:
        rows = cases[:1]
        if spec.visits is not None and cohort.header.visits and rows[0].visit not in spec.visits:
            return None

    def read(column: str, parse: Callable[[str], T | None]) -> T | None:
        return _read_first_known(cohort, rows, column, parse)

    try:
        answer = find_pooled_kind(spec.kind).read_answer(spec, spec.column or task, read)
    except IncompleteAnswer as error:
        raise PolytaskError(f"{cohort.table}, subject {rows[0].subject}: {error}") from None
    if answer is None or not at_landmark:
        return answer
    return count_from_landmark(cohort, task, cases[0], answer)


def does_task_apply(cohort: Cohort, cases: Sequence[Case], task: str) -> bool | None:
    """Whether a task applies to a visit or subject, by the answers in the table; None where these do not say.

    A task without `applies_when` always applies. One that follows a task which does not apply does not apply either.
    """
    condition = find_condition(cohort.header.tasks[task])
    if condition is None:
        return True
    other, words = condition
    if other not in cohort.header.tasks:
        return None
    if does_task_apply(cohort, cases, other) is False:
        return False
    answer = pooled_value(cohort, cases, other)
    if not isinstance(answer, int):
        return None
    return any(is_same_word(list_answers(cohort.header.tasks[other])[answer], word) for word in words)


def column_value(cohort: Cohort, cases: Sequence[Case], table: str, column: str) -> float | str | None:
    """Read a cell of a table input: a number, or the category as the header spells it; None where unknown.

    A visit-level column is read from `cases[0]`, a subject-level column from the first filled row of the subject.
    """
    spec = cohort.header.tables[table].columns[column]
    rows = cohort.subjects[cases[0].subject] if spec.level == "subject" else cases[:1]
    if spec.type == "number":
        return _read_first_known(cohort, rows, column, _make_number_parser(spec))
    return _read_first_known(cohort, rows, column, _make_category_parser(spec))


def list_column_values(
    cohort: Cohort, cases: Sequence[Case], table: str, column: str
) -> list[float | str | None]:
    """Read a column of a table input for many cases: for each the value that `column_value` gives.

    A word that stands in several cells is parsed once, so that large tables are read quickly.
    """
    spec = cohort.header.tables[table].columns[column]
    if spec.type == "number":
        return [*_read_for_each_case(cohort, cases, column, spec.level, cache(_make_number_parser(spec)))]
    return [*_read_for_each_case(cohort, cases, column, spec.level, cache(_make_category_parser(spec)))]


def _read_for_each_case(
    cohort: Cohort, cases: Sequence[Case], column: str, level: str, parse: Callable[[str], T | None]
) -> list[T | None]:
    """Read the cell of each case's own row, or for the level `subject` the first filled one of the subject's rows."""
    if level == "subject":
        return [_read_first_known(cohort, cohort.subjects[case.subject], column, parse) for case in cases]
    return [_parse_known_cell(cohort, case, column, parse) for case in cases]


def _make_number_parser(spec: Column) -> Callable[[str], float]:
    """Make the function that reads the text of a numeric column's cell."""
    return lambda cell: cell_readers.read_number(cell, spec.bounds)


def _make_category_parser(spec: Column) -> Callable[[str], str]:
    """Make the function that turns the text of a category's cell into the category as the header spells it."""
    values = spec.values
    if values is None:
        return lambda cell: cell
    return lambda cell: values[cell_readers.find_word_index(cell, values)]


def _find_cell_path(cohort: Cohort, case: Case, column: str) -> Path | None:
    cell = case.cells.get(column)
    return None if cell is None else cohort.path(cell)


def _read_first_known(
    cohort: Cohort, rows: Sequence[Case], column: str, parse: Callable[[str], T | None]
) -> T | None:
    for case in rows:
        value = _parse_known_cell(cohort, case, column, parse)
        if value is not None:
            return value
    return None


def _parse_known_cell(cohort: Cohort, case: Case, column: str, parse: Callable[[str], T | None]) -> T | None:
    cell = case.cells.get(column)
    if cell is None:
        return None
    try:
        return parse(cell)
    except cell_readers.UnreadableCell as odd:
        place = f"{cohort.table}, row {case.row}, subject {case.subject}, column {column}"
        raise PolytaskError(f"{place}: {odd.message}; {odd.remedy}") from None
