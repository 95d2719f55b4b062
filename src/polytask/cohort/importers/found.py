"""Tasks found in a foreign table, with the decisions that led to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from polytask.cohort.header import Task
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.losses import Loss
from polytask.errors import PolytaskError


@dataclass
class Found:
    """Tasks and their cells.

    Args:
        cells: column of the new table → cell per row of the sheet.
        used: columns of the sheet that need not be looked at again.
        notes: one for each decision about columns.
        losses: what could not be read of each target.
        inputs: columns that are inputs unless a person says otherwise.
        units: task → the unit that a person stated.
        accepted: tasks that may lose more cells than usual, as a person stated.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    cells: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    notes: list[ColumnNote] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    units: Mapping[str, str] = field(default_factory=dict)
    accepted: Collection[str] = ()

    def leave_out(self, columns: Sequence[str], why: str, short: str = "") -> None:
        """Note that columns become neither task nor input.

        Args:
            short: the reason in a few words, for the count of many columns.
        """
        self.used |= set(columns)
        names = f"column{'s' * (len(columns) > 1)} {', '.join(map(repr, columns))}"
        self.notes.append(
            ColumnNote(
                "left out",
                short or why,
                f"{names}: left out ({why})",
                len(columns),
            )
        )


def add(found: Found, name: str, task: Task, columns: Iterable[str], line: str) -> None:
    """Take in a task that was read from `columns`, with the line that says how."""
    if name in found.tasks:
        raise PolytaskError(
            f"import: two tasks are called {name!r}; expected different names; rename one with --task NAME=…@COLUMN"
        )
    columns = list(columns)
    found.tasks[name] = task
    found.used |= set(columns)
    found.notes.append(ColumnNote("task", task.kind, f"task {name!r}: {line}", len(columns)))
