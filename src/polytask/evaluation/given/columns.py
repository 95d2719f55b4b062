"""Finds out which column of a table of answers says what about which task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polytask.cohort.header import Header
from polytask.errors import PolytaskError, nearest
from polytask.evaluation.measure import names_of
from polytask.kinds import answer_form
from polytask.tasks.task import Task

KEYS = ("subject", "visit")
BESIDE = ("fold", "seed", "member", "site", "day", "split", "inputs_missing", "input.ood_p")
"""Columns of `predictions.csv` or `cases.csv` that are not answers to a task."""
NOT_ANSWERS = ("source.", "patches.", "places.", "group", "at_", "truth", "time", "event")
"""Beginnings of the suffixes of a task's columns that accompany its answers, but are none."""
TRUST = ("u", "set", "low", "high", "bound")


@dataclass(frozen=True)
class TaskColumns:
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


def sort_columns(
    path: Path, columns: Sequence[str], tasks: Mapping[str, Task], header: Header
) -> tuple[dict[str, TaskColumns], list[str]]:
    """Assign the columns of a table to tasks; returns (columns by task, columns that are about no task).

    Raises:
        PolytaskError: a column answers a task the model does not have, or says of a task what its kind does not answer.
    """
    found: dict[str, TaskColumns] = {}
    ignored: list[str] = []
    for column in columns:
        if column in (*KEYS, *BESIDE):
            continue
        name, suffix = _split(column, tasks)
        if name is None:
            _refuse_foreign(path, column, tasks, header)
            ignored.append(column)
        elif not _beside(suffix, tasks[name]):
            found[name] = _with(path, found.get(name, TaskColumns()), tasks[name], column, suffix)
    if "subject" not in columns:
        raise PolytaskError(f"{path}: no column 'subject'; answers are joined by subject and visit; add it")
    if not found:
        raise PolytaskError(
            f"{path}: no column answers a task of this model ({', '.join(tasks)}); expected columns as in "
            "predictions.csv (TASK, TASK.p.CLASS, TASK.risk)"
        )
    return found, ignored


def _split(column: str, tasks: Mapping[str, Task]) -> tuple[str | None, str]:
    """Split a column into (task, what follows its name and a dot); names of tasks have no dot."""
    name, _, suffix = column.partition(".")
    return (name, suffix) if name in tasks else (None, "")


def _beside(suffix: str, task: Task) -> bool:
    # A label or structure may be called like a suffix, for instance `low`: then the column is an answer.
    named = answer_form(task.kind) in ("labels", "masks") and suffix in names_of(task)
    return not named and (suffix in TRUST or suffix.startswith(NOT_ANSWERS))


def _refuse_foreign(path: Path, column: str, tasks: Mapping[str, Task], spec: Header) -> None:
    base = next((n for n in spec.tasks if column == n or column.startswith(f"{n}.")), None)
    # A column that looks like an answer but names no task is refused: ignoring a misspelled task would be silent.
    if base is None and (".p." in column or column.endswith(".risk")):
        base = column.partition(".")[0]
    if base is not None:
        raise PolytaskError(
            f"{path}: column {column!r} answers {base!r}, which is no task of this model, "
            f"{nearest(base, list(tasks), 'expected one of')}; take the column out, or correct its name"
        )


def _with(path: Path, before: TaskColumns, task: Task, column: str, suffix: str) -> TaskColumns:
    """Return the columns of a task with one more column."""
    names = list(names_of(task))
    horizons = [f"T{t:g}" for t in getattr(task, "horizons", ())]
    if suffix == "" and answer_form(task.kind) != "time":
        return TaskColumns(column, before.p, before.risk, before.parts)
    if suffix == "risk" and answer_form(task.kind) == "time":
        return TaskColumns(before.answer, before.p, column, before.parts)
    if suffix.startswith("p.") and task.level != "voxel":
        allowed = horizons if answer_form(task.kind) == "time" else names
        what = suffix.removeprefix("p.")
        if what not in allowed:
            raise PolytaskError(
                f"{path}: column {column!r}: {what!r} is no {'horizon' if horizons else 'class'} of {task.name}, "
                f"{nearest(what, allowed, 'expected one of')}; correct the column's name"
            )
        return TaskColumns(before.answer, {**before.p, what: column}, before.risk, before.parts)
    if suffix in names and answer_form(task.kind) in ("labels", "masks"):
        return TaskColumns(before.answer, before.p, before.risk, {**before.parts, suffix: column})
    if suffix == "p" and answer_form(task.kind) == "masks":
        return before  # a file of voxel probabilities: the mask beside it is judged
    raise PolytaskError(
        f"{path}: column {column!r} is no answer of a {task.kind}; expected {_expected(task, names, horizons)}; "
        "correct the column's name"
    )


def _expected(task: Task, names: Sequence[str], horizons: Sequence[str]) -> str:
    name = task.name
    if answer_form(task.kind) == "time":
        return " or ".join([f"{name}.risk", *(f"{name}.p.{t}" for t in horizons)])
    if answer_form(task.kind) in ("class", "grade", "labels"):
        return " or ".join([name, *(f"{name}.p.{c}" for c in names)])
    if answer_form(task.kind) == "masks":
        return " or ".join([f"{name} (a path)", *(f"{name}.{s}" for s in names)])
    return f"{name}{' (a path)' if task.level == 'voxel' else ''}"
