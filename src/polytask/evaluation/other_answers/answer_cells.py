"""Converts the cells of a table of answers to arrays in the form of our own predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from polytask.array_types import Floats
from polytask.cohort.text_table import TextRow
from polytask.errors import PolytaskError, suggest_word
from polytask.evaluation.metric_estimates import list_class_names
from polytask.evaluation.other_answers.answer_table import AnswerTable
from polytask.inference.pooled_answers import CaseId
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task

MAX_ROUNDING_ERROR = 0.015
"""The sum of probabilities that are rounded to two digits may differ from 1 by this much."""
NO_LABEL_WORD = "none"
"""The word for no label at all; an empty cell means that the answer is unknown."""
UNKNOWN_ANSWER_CELLS = ("", "NA", "na", "n/a")


@dataclass(frozen=True)
class OtherPooledAnswers:
    """Somebody else's answers to one visit or subject task. What was not answered is NaN.

    Args:
        ids: subject and visit of each row, in the order of the first axis.
        p: probabilities `[N, classes, labels or horizons]`; None where the table has none.
        called: the answer itself in the same form: 1 for the named class or labels, 0 for the others; None where the
            table has none.
        risk, value: risks and numbers `[N]`.
        places: id → its position among `ids`.
    """

    ids: tuple[CaseId, ...]
    p: Floats | None = None
    called: Floats | None = None
    risk: Floats | None = None
    value: Floats | None = None
    places: dict[CaseId, int] = field(default_factory=dict)


def read_other_pooled(table: AnswerTable, task: Task) -> OtherPooledAnswers:
    """Read all answers of a table to one visit or subject task."""
    rows, columns = table.rows[task.name], table.columns[task.name]
    ids = tuple(rows)
    # A table may have columns of a task and no row that answers it: the shape says for how many classes all the same.
    shape = (len(ids), len(_list_probability_names(task)))
    p = called = risk = value = None
    if columns.p:
        p = np.array([_read_probabilities(table, r, task) for r in rows.values()]).reshape(shape)
    if find_answer_form(task.kind) in ("class", "grade", "labels") and (columns.answer or columns.parts):
        called = np.array([_read_named_classes(table, r, task) for r in rows.values()]).reshape(shape)
    if find_answer_form(task.kind) == "time" and columns.risk:
        risk = np.array([_parse_number_cell(table, r, columns.risk) for r in rows.values()])
    if find_answer_form(task.kind) == "number":
        value = np.array([_parse_number_cell(table, r, columns.answer) for r in rows.values()])
    return OtherPooledAnswers(ids, p, called, risk, value, {who: k for k, who in enumerate(ids)})


def _list_probability_names(task: Task) -> list[str]:
    """List what probabilities of a task are named by: horizons, classes or labels; none for a number."""
    form = find_answer_form(task.kind)
    if form == "time":
        return [f"T{t:g}" for t in getattr(task, "horizons", ())]
    return [] if form == "number" else list(list_class_names(task))


def _read_probabilities(table: AnswerTable, row: TextRow, task: Task) -> Floats:
    """Read the probabilities of a row `[classes, labels or horizons]`; those of classes must sum to 1."""
    columns, names = table.columns[task.name].p, _list_probability_names(task)
    probabilities = np.array(
        [_parse_number_cell(table, row, columns[n]) if n in columns else np.nan for n in names]
    )
    odd = np.flatnonzero((probabilities < 0) | (probabilities > 1))
    if odd.size:
        raise PolytaskError(
            f"{table.where(row)}: {columns[names[odd[0]]]} is {probabilities[odd[0]]:g}; expected a probability "
            "between 0 and 1"
        )
    if find_answer_form(task.kind) in ("time", "labels"):
        return probabilities
    known = np.isfinite(probabilities)
    if len(names) == 2 and known.sum() == 1:  # with two classes, one probability gives the other
        probabilities[~known] = 1 - probabilities[known]
        known[:] = True
    if known.any() and not known.all():
        missing = names[int(np.flatnonzero(~known)[0])]
        raise PolytaskError(
            f"{table.where(row)}: {task.name} has no probability of {missing!r}; expected one of every class "
            f"({', '.join(names)}), or none"
        )
    total = float(probabilities.sum())
    if known.all() and abs(total - 1) > MAX_ROUNDING_ERROR:
        raise PolytaskError(
            f"{table.where(row)}: the probabilities of {task.name} sum to {total:.3g}; expected 1; correct the row"
        )
    return probabilities / total if known.all() else probabilities


def _read_named_classes(table: AnswerTable, row: TextRow, task: Task) -> Floats:
    """Read the answer of a row: 1 for the named class or labels, 0 for the others; all NaN where the cell is empty."""
    columns, names = table.columns[task.name], list(list_class_names(task))
    flags = np.full(len(names), np.nan)
    for k, name in enumerate(names):
        if name in columns.parts:
            flags[k] = _parse_flag_cell(table, row, columns.parts[name])
    if not columns.answer or row.cells[columns.answer] in UNKNOWN_ANSWER_CELLS:
        return flags
    cell = row.cells[columns.answer]
    words = [w.strip() for w in cell.split(";")] if find_answer_form(task.kind) == "labels" else [cell]
    if find_answer_form(task.kind) == "labels" and words == [NO_LABEL_WORD] and NO_LABEL_WORD not in names:
        return np.zeros(len(names))
    flags = np.zeros(len(names))
    for word in words:
        flags[_find_class_index(table, row, columns.answer, word, names)] = 1.0
    return flags


def _find_class_index(table: AnswerTable, row: TextRow, column: str, word: str, names: Sequence[str]) -> int:
    """Find the index of a class that is given as text or as an equal number ("2.0" is "2")."""
    if word in names:
        return list(names).index(word)
    for k, name in enumerate(names):
        try:
            if float(name) == float(word):
                return k
        except ValueError:
            continue
    raise PolytaskError(
        f"{table.where(row)}, column {column}: {word!r} is no class of the task, "
        f"{suggest_word(word, list(names), 'expected one of')}; correct the cell, or empty it"
    )


def _parse_number_cell(table: AnswerTable, row: TextRow, column: str) -> float:
    cell = row.cells[column]
    if cell in UNKNOWN_ANSWER_CELLS:
        return float("nan")
    try:
        number = float(cell)
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise PolytaskError(
            f"{table.where(row)}, column {column}: {cell!r} is not a number; expected a number with a dot; correct it"
        )
    return number


def _parse_flag_cell(table: AnswerTable, row: TextRow, column: str) -> float:
    number = _parse_number_cell(table, row, column)
    if number not in (0.0, 1.0) and np.isfinite(number):
        raise PolytaskError(
            f"{table.where(row)}, column {column}: {number:g}; expected 0, 1 or an empty cell"
        )
    return number
