"""Collect the tasks that are found in a foreign table, with the decisions that led to them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from polytask.cohort.header import Task
from polytask.cohort.importers.column_notes import ColumnNote
from polytask.cohort.importers.lost_cells import LostCells
from polytask.errors import PolytaskError


@dataclass
class ImportedTasks:
    """The tasks of a foreign table and their cells, collected step by step while a table is imported.

    Args:
        cells: column of the new table → its cells, one per row of the sheet.
        used: columns of the sheet that are decided and must not be looked at again.
        notes: one note for each decision about columns.
        losses: for each target, how many cells could not be read.
        inputs: columns that become inputs unless a person says otherwise.
        units: task → unit that a person stated.
        accepted: tasks for which a person has accepted the loss of many cells.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    cells: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    notes: list[ColumnNote] = field(default_factory=list)
    losses: list[LostCells] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    units: Mapping[str, str] = field(default_factory=dict)
    accepted: Collection[str] = ()

    def leave_out(self, columns: Sequence[str], why: str, short: str = "") -> None:
        """Mark columns as used and note why they become neither task nor input.

        Args:
            why: the reason, for people.
            short: the reason in a few words, by which notes are counted together (default: `why`).
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


def add_imported_task(
    imported: ImportedTasks, name: str, task: Task, columns: Iterable[str], line: str
) -> None:
    """Add a task that was read from `columns`, with a line that says how it was read."""
    if name in imported.tasks:
        raise PolytaskError(
            f"import: two tasks are called {name!r}; expected different names; rename one with --task NAME=…@COLUMN"
        )
    columns = list(columns)
    imported.tasks[name] = task
    imported.used |= set(columns)
    imported.notes.append(ColumnNote("task", task.kind, f"task {name!r}: {line}", len(columns)))
