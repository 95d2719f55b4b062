"""Finds out which task each column of a table of answers is about, and what it tells about the task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polytask.cohort.header import Header
from polytask.errors import PolytaskError, suggest_word
from polytask.evaluation.metric_estimates import list_class_names
from polytask.kinds import find_answer_form
from polytask.tasks.task import Task

JOIN_COLUMNS = ("subject", "visit")
NON_ANSWER_COLUMNS = ("fold", "seed", "member", "site", "day", "split", "inputs_missing", "input.ood_p")
"""Columns of `predictions.csv` or `cases.csv` that are not answers to a task."""
NON_ANSWER_SUFFIXES = ("source.", "patches.", "places.", "slices.", "group", "at_", "truth", "time", "event")
"""Beginnings of the suffixes of a task's columns that accompany its answers, but are not answers."""
TRUST_SUFFIXES = ("u", "set", "low", "high", "bound")


@dataclass(frozen=True)
class TaskAnswerColumns:
    """The columns of a table that answer one task.

    Args:
        answer: column of the answer itself: class, number, labels, path; "" where there is none.
        p: class, label or horizon (`T365`) → column of its probability.
        risk: column of the risk, "" where there is none.
        parts: label or structure → its own column.
    """

    answer: str = ""
    p: Mapping[str, str] = field(default_factory=dict)
    risk: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> list[str]:
        """All columns that answer the task."""
        return [c for c in (self.answer, *self.p.values(), self.risk, *self.parts.values()) if c]


def assign_columns(
    path: Path, columns: Sequence[str], tasks: Mapping[str, Task], header: Header
) -> tuple[dict[str, TaskAnswerColumns], list[str]]:
    """Assign the columns of a table to tasks; returns (columns by task, columns that are about no task).

    Raises:
        PolytaskError: a column answers a task that the model does not have, or does not fit the kind of its task.
    """
    columns_by_task: dict[str, TaskAnswerColumns] = {}
    ignored: list[str] = []
    for column in columns:
        if column in (*JOIN_COLUMNS, *NON_ANSWER_COLUMNS):
            continue
        name, suffix = _split_task_name(column, tasks)
        if name is None:
            _refuse_foreign_task(path, column, tasks, header)
            ignored.append(column)
        elif not _is_non_answer(suffix, tasks[name]):
            columns_by_task[name] = _add_column(
                path, columns_by_task.get(name, TaskAnswerColumns()), tasks[name], column, suffix
            )
    if "subject" not in columns:
        raise PolytaskError(f"{path}: no column 'subject'; answers are joined by subject and visit; add it")
    if not columns_by_task:
        raise PolytaskError(
            f"{path}: no column answers a task of this model ({', '.join(tasks)}); expected columns as in "
            "predictions.csv (TASK, TASK.p.CLASS, TASK.risk)"
        )
    return columns_by_task, ignored


def _split_task_name(column: str, tasks: Mapping[str, Task]) -> tuple[str | None, str]:
    """Split a column into (task, what follows its name and a dot); names of tasks have no dot."""
    name, _, suffix = column.partition(".")
    return (name, suffix) if name in tasks else (None, "")


def _is_non_answer(suffix: str, task: Task) -> bool:
    # The column of a time says only where the task is not applicable.
    if not suffix and find_answer_form(task.kind) == "time" and getattr(task, "applies_when", {}):
        return True
    # A label or structure may be called like a suffix, for instance `low`: then the column is an answer.
    named = find_answer_form(task.kind) in ("labels", "masks") and suffix in list_class_names(task)
    return not named and (suffix in TRUST_SUFFIXES or suffix.startswith(NON_ANSWER_SUFFIXES))


def _refuse_foreign_task(path: Path, column: str, tasks: Mapping[str, Task], spec: Header) -> None:
    base = next((n for n in spec.tasks if column == n or column.startswith(f"{n}.")), None)
    # A column that looks like an answer but names no task is refused: ignoring a misspelled task would be silent.
    if base is None and (".p." in column or column.endswith(".risk")):
        base = column.partition(".")[0]
    if base is not None:
        raise PolytaskError(
            f"{path}: column {column!r} answers {base!r}, which is no task of this model, "
            f"{suggest_word(base, list(tasks), 'expected one of')}; take the column out, or correct its name"
        )


def _add_column(
    path: Path, before: TaskAnswerColumns, task: Task, column: str, suffix: str
) -> TaskAnswerColumns:
    """Return the columns of a task with one more column."""
    names = list(list_class_names(task))
    horizons = [f"T{t:g}" for t in getattr(task, "horizons", ())]
    if suffix == "" and find_answer_form(task.kind) != "time":
        return TaskAnswerColumns(column, before.p, before.risk, before.parts)
    if suffix == "risk" and find_answer_form(task.kind) == "time":
        return TaskAnswerColumns(before.answer, before.p, column, before.parts)
    if suffix.startswith("p.") and task.level != "voxel":
        allowed = horizons if find_answer_form(task.kind) == "time" else names
        what = suffix.removeprefix("p.")
        if what not in allowed:
            raise PolytaskError(
                f"{path}: column {column!r}: {what!r} is no {'horizon' if horizons else 'class'} of {task.name}, "
                f"{suggest_word(what, allowed, 'expected one of')}; correct the column's name"
            )
        return TaskAnswerColumns(before.answer, {**before.p, what: column}, before.risk, before.parts)
    if suffix in names and find_answer_form(task.kind) in ("labels", "masks"):
        return TaskAnswerColumns(before.answer, before.p, before.risk, {**before.parts, suffix: column})
    if suffix == "p" and find_answer_form(task.kind) == "masks":
        return before  # a file of voxel probabilities: the mask beside it is judged
    raise PolytaskError(
        f"{path}: column {column!r} does not fit a {task.kind} task; expected "
        f"{_describe_expected_columns(task, names, horizons)}; "
        "correct the column's name"
    )


def _describe_expected_columns(task: Task, names: Sequence[str], horizons: Sequence[str]) -> str:
    name = task.name
    if find_answer_form(task.kind) == "time":
        return " or ".join([f"{name}.risk", *(f"{name}.p.{t}" for t in horizons)])
    if find_answer_form(task.kind) in ("class", "grade", "labels"):
        return " or ".join([name, *(f"{name}.p.{c}" for c in names)])
    if find_answer_form(task.kind) == "masks":
        return " or ".join([f"{name} (a path)", *(f"{name}.{s}" for s in names)])
    return f"{name}{' (a path)' if task.level == 'voxel' else ''}"
