"""Translates another cohort to the header of a model: its cells in the model's words, everything else unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from polytask.cohort.cell_values import column_value, pooled_value
from polytask.cohort.cohort import Case, Cohort, FileVoxelSpec
from polytask.cohort.header import (
    Header,
    ImageInput,
    VoxelSpec,
    list_optional_columns,
    list_task_columns,
)
from polytask.evaluation.external.cohort_match import CohortMatch
from polytask.evaluation.external.match_tasks import MatchedTask
from polytask.kinds import find_answer_form
from polytask.kinds.class_words import list_answers
from polytask.kinds.kind import AnswerValue


@dataclass(frozen=True)
class TranslatedCohort:
    """The other cohort under the header of the model.

    Args:
        cohort: cases in the model's words; only visits that the model knows.
        visits_left_out: number of rows at visits that the model does not know.
    """

    cohort: Cohort
    visits_left_out: int


def translate_cohort(matched: CohortMatch, extra: Sequence[str] = ()) -> TranslatedCohort:
    """Translate every row to the cells that the model asks for: its inputs, and the truths of the tasks that both
    share.

    Args:
        matched: counterparts of model and cohort.
        extra: other columns that the plan reads (the box of a crop); they are copied unchanged.
    """
    own, visits = matched.own, matched.inputs.visits
    cases = [
        replace(case, visit=visits[case.visit], cells=dict(_translate_cells(matched, case, extra)))
        for case in own.cases
        if case.visit in visits
    ]
    columns = tuple(dict.fromkeys(c for case in cases for c in case.cells))
    written = {
        name: _describe_written_masks(matched, name, task)
        for name, task in matched.tasks.items()
        if isinstance(matched.header.tasks[name], VoxelSpec)
    }
    # `written` keeps their own description of masks: files are read as they were written, and translated afterwards.
    cohort = Cohort(_translate_header(matched), own.root, own.table, columns, tuple(cases), written)
    return TranslatedCohort(cohort, len(own.cases) - len(cases))


def _translate_header(matched: CohortMatch) -> Header:
    """Return the model's header with the name of the other cohort, and with its rule for aligning images."""
    inputs = dict(matched.header.inputs)
    for name, other in matched.inputs.images.items():
        image, theirs = inputs[name], matched.own.header.images[other]
        assert isinstance(image, ImageInput)
        inputs[name] = image.model_copy(update={"align": theirs.align})
    return matched.header.model_copy(update={"inputs": inputs, "name": matched.own.header.name})


def _describe_written_masks(matched: CohortMatch, name: str, task: MatchedTask) -> FileVoxelSpec:
    spec, mine = matched.own.header.tasks[task.theirs], matched.header.tasks[name]
    assert isinstance(spec, VoxelSpec)
    assert isinstance(mine, VoxelSpec)
    here = {"column": mine.column or name, "image": mine.image}
    return FileVoxelSpec(spec.model_copy(update=here), task.structures, task.factor)


def _translate_cells(matched: CohortMatch, case: Case, extra: Sequence[str]) -> Iterator[tuple[str, str]]:
    inputs = matched.inputs
    for column, theirs in (*inputs.channels.items(), *inputs.slides.items(), *((c, c) for c in extra)):
        if theirs in case.cells:
            yield column, case.cells[theirs]
    for column, (table, theirs) in inputs.columns.items():
        value = _read_column_cell(matched, case, column, table, theirs)
        if isinstance(value, str) and column in inputs.values:
            if (word := inputs.values[column].get(value)) is not None:
                yield column, word
        elif value is not None:
            yield column, _format_exact_number(float(value) * inputs.factors.get(column, 1.0))
    for name, task in matched.tasks.items():
        if isinstance(matched.header.tasks[name], VoxelSpec):
            yield from _translate_mask_cells(matched, case, name, task)
        else:
            yield from _translate_answer_cells(matched, case, name, task)


def _read_column_cell(
    matched: CohortMatch, case: Case, column: str, table: str, theirs: str
) -> float | str | None:
    """Read a cell of a table. Where the model reads one about the subject, the visits must agree on it; else None."""
    ours = next(t.columns[column] for t in matched.header.tables.values() if column in t.columns)
    own = matched.own
    if ours.level == "visit" or own.header.tables[table].columns[theirs].level == "subject":
        return column_value(own, (case,), table, theirs)
    rows = own.subjects[case.subject]
    values = {v for row in rows if (v := column_value(own, (row,), table, theirs)) is not None}
    return next(iter(values)) if len(values) == 1 else None


def _format_exact_number(value: float) -> str:
    """Write a number so that reading it gives exactly the same number."""
    return repr(value)


def _translate_mask_cells(
    matched: CohortMatch, case: Case, name: str, task: MatchedTask
) -> Iterator[tuple[str, str]]:
    """Yield the cells of a voxel task unchanged, under the model's column names."""
    spec, mine = matched.own.header.tasks[task.theirs], matched.header.tasks[name]
    here, there = mine.column or name, spec.column or task.theirs
    for column in (*list_task_columns(task.theirs, spec), *list_optional_columns(task.theirs, spec)):
        if column in case.cells:
            yield here + column.removeprefix(there), case.cells[column]


def _translate_answer_cells(
    matched: CohortMatch, case: Case, name: str, task: MatchedTask
) -> Iterator[tuple[str, str]]:
    spec, theirs = matched.header.tasks[name], matched.own.header.tasks[task.theirs]
    value = read_other_truth(matched, case, name, task)
    stem = spec.column or name
    if value is None:
        return
    form = find_answer_form(spec.kind)
    if form == "time":
        assert isinstance(value, tuple)
        time, event = value
        yield f"{stem}_time", _format_exact_number(float(time or 0.0) * task.factor)
        yield f"{stem}_event", str(int(event or 0))
    elif form == "labels":
        assert isinstance(value, tuple)
        for label in list_answers(spec):
            bits = [b for w, b in zip(list_answers(theirs), value, strict=True) if task.words.get(w) == label]
            # Several of their labels may make up one of ours: one that is present is enough, but absent needs all to be
            # known.
            if bits and (any(bits) or None not in bits):
                yield f"{stem}.{label}", "1" if any(bits) else "0"
    elif form == "number":
        assert isinstance(value, int | float)
        yield stem, _format_exact_number(float(value) * task.factor)
    else:
        assert isinstance(value, int)
        if (word := task.words.get(list_answers(theirs)[value])) is not None:
            yield stem, word


def read_other_truth(matched: CohortMatch, case: Case, name: str, task: MatchedTask) -> AnswerValue | None:
    """Read their truth for one row at the level of the model's task.

    A truth about the subject holds for a visit only where there is a single visit. Truths about visits hold for the
    subject only where they all agree.
    """
    own, spec = matched.own, matched.header.tasks[name]
    level, rows = own.header.tasks[task.theirs].level, own.subjects[case.subject]
    if level == spec.level:
        return pooled_value(own, (case,), task.theirs)
    if level == "subject":
        return pooled_value(own, (case,), task.theirs) if len(rows) == 1 else None
    truths = {v for row in rows if (v := pooled_value(own, (row,), task.theirs)) is not None}
    return next(iter(truths)) if len(truths) == 1 else None
