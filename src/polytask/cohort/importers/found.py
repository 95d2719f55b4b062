"""Tasks found in a foreign table, with the decisions that led to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from polytask.cohort.tasks import Task
from polytask.errors import PolytaskError


@dataclass
class Found:
    """Tasks and their cells.

    Args:
        cells: column of the new table → cell per row of the sheet.
        used: columns of the sheet that need not be looked at again.
    """

    tasks: dict[str, Task] = field(default_factory=dict)
    cells: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)


def add(found: Found, name: str, task: Task, columns: Iterable[str], line: str) -> None:
    """Take in a task that was read from `columns`, with the line that says how."""
    if name in found.tasks:
        raise PolytaskError(
            f"import: two tasks are called {name!r}; expected different names; rename one with --task NAME=…@COLUMN"
        )
    found.tasks[name] = task
    found.used |= set(columns)
    found.notes.append(f"task {name!r}: {line}")
