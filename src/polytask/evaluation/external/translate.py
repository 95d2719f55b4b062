"""Translates another cohort to the header of a model: its cells in the model's words, everything else unknown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from polytask.cohort.cohort import Case, Cohort, WrittenAs
from polytask.cohort.header import (
    Header,
    ImageInput,
    VoxelSpec,
    list_optional_columns,
    list_task_columns,
)
from polytask.cohort.values import column_value, pooled_value
from polytask.evaluation.external.match_tasks import MatchedTask
from polytask.evaluation.external.matching import Matching
from polytask.kinds import answer_form
from polytask.kinds.class_words import list_answers
from polytask.kinds.kind import Value


@dataclass(frozen=True)
class Translated:
    """The other cohort under the header of the model.

    Args:
        cohort: cases in the model's words; only visits that the model knows.
        visits_left_out: number of rows at visits that the model does not know.
    """

    cohort: Cohort
    visits_left_out: int


def translate_cohort(matched: Matching, extra: Sequence[str] = ()) -> Translated:
    """Translate every row to the cells that the model asks for: its inputs, and the truths of the tasks that both
    share.

    Args:
        matched: counterparts of model and cohort.
        extra: other columns that the plan reads (the box of a crop); they are copied unchanged.
    """
    own, visits = matched.own, matched.inputs.visits
    cases = [
        replace(case, visit=visits[case.visit], cells=dict(_cells(matched, case, extra)))
        for case in own.cases
        if case.visit in visits
    ]
    columns = tuple(dict.fromkeys(c for case in cases for c in case.cells))
    written = {
        name: _written(matched, name, task)
        for name, task in matched.tasks.items()
        if isinstance(matched.header.tasks[name], VoxelSpec)
    }
    # `written` keeps their own description of masks: files are read as they were written, and translated afterwards.
    cohort = Cohort(_header(matched), own.root, own.table, columns, tuple(cases), written)
    return Translated(cohort, len(own.cases) - len(cases))


def _header(matched: Matching) -> Header:
    """Return the model's header with the name of the other cohort, and with its rule for aligning images."""
    inputs = dict(matched.header.inputs)
    for name, other in matched.inputs.images.items():
        image, theirs = inputs[name], matched.own.header.images[other]
        assert isinstance(image, ImageInput)
        inputs[name] = image.model_copy(update={"align": theirs.align})
    return matched.header.model_copy(update={"inputs": inputs, "name": matched.own.header.name})


def _written(matched: Matching, name: str, task: MatchedTask) -> WrittenAs:
    spec, mine = matched.own.header.tasks[task.theirs], matched.header.tasks[name]
    assert isinstance(spec, VoxelSpec)
    assert isinstance(mine, VoxelSpec)
    here = {"column": mine.column or name, "image": mine.image}
    return WrittenAs(spec.model_copy(update=here), task.structures, task.factor)


def _cells(matched: Matching, case: Case, extra: Sequence[str]) -> Iterator[tuple[str, str]]:
    inputs = matched.inputs
    for column, theirs in (*inputs.channels.items(), *inputs.slides.items(), *((c, c) for c in extra)):
        if theirs in case.cells:
            yield column, case.cells[theirs]
    for column, (table, theirs) in inputs.columns.items():
        value = _cell_of(matched, case, column, table, theirs)
        if isinstance(value, str) and column in inputs.values:
            if (word := inputs.values[column].get(value)) is not None:
                yield column, word
        elif value is not None:
            yield column, _number(float(value) * inputs.factors.get(column, 1.0))
    for name, task in matched.tasks.items():
        if isinstance(matched.header.tasks[name], VoxelSpec):
            yield from _mask_cells(matched, case, name, task)
        else:
            yield from _answer_cells(matched, case, name, task)


def _cell_of(matched: Matching, case: Case, column: str, table: str, theirs: str) -> float | str | None:
    """Read a cell of a table. Where the model reads one about the subject, the visits must agree on it; else None."""
    ours = next(t.columns[column] for t in matched.header.tables.values() if column in t.columns)
    own = matched.own
    if ours.level == "visit" or own.header.tables[table].columns[theirs].level == "subject":
        return column_value(own, (case,), table, theirs)
    rows = own.subjects[case.subject]
    found = {v for row in rows if (v := column_value(own, (row,), table, theirs)) is not None}
    return next(iter(found)) if len(found) == 1 else None


def _number(value: float) -> str:
    """Write a number so that reading it gives exactly the same number."""
    return repr(value)


def _mask_cells(matched: Matching, case: Case, name: str, task: MatchedTask) -> Iterator[tuple[str, str]]:
    """Yield the cells of a voxel task unchanged, under the model's column names."""
    spec, mine = matched.own.header.tasks[task.theirs], matched.header.tasks[name]
    here, there = mine.column or name, spec.column or task.theirs
    for column in (*list_task_columns(task.theirs, spec), *list_optional_columns(task.theirs, spec)):
        if column in case.cells:
            yield here + column.removeprefix(there), case.cells[column]


def _answer_cells(matched: Matching, case: Case, name: str, task: MatchedTask) -> Iterator[tuple[str, str]]:
    spec, theirs = matched.header.tasks[name], matched.own.header.tasks[task.theirs]
    value = truth_of(matched, case, name, task)
    stem = spec.column or name
    if value is None:
        return
    form = answer_form(spec.kind)
    if form == "time":
        assert isinstance(value, tuple)
        time, event = value
        yield f"{stem}_time", _number(float(time or 0.0) * task.factor)
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
        yield stem, _number(float(value) * task.factor)
    else:
        assert isinstance(value, int)
        if (word := task.words.get(list_answers(theirs)[value])) is not None:
            yield stem, word


def truth_of(matched: Matching, case: Case, name: str, task: MatchedTask) -> Value | None:
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
    found = {v for row in rows if (v := pooled_value(own, (row,), task.theirs)) is not None}
    return next(iter(found)) if len(found) == 1 else None
