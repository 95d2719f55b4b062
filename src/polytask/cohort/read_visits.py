"""Which visits of a subject some tasks read. Visits that none of them reads are neither loaded nor computed."""

from __future__ import annotations

from collections.abc import Iterable

from polytask.cohort.header import Header
from polytask.kinds.task_spec import PooledSpec


def list_read_visits(header: Header, tasks: Iterable[str] | None = None) -> list[str]:
    """List the visits that at least one of `tasks` (default: all) reads, in the header's order; [""] without visits.

    A voxel or visit task is asked at every visit, so it reads them all. A subject task reads the visits that it names.
    """
    every = header.visits or [""]
    read: set[str] = set()
    for name in header.tasks if tasks is None else tasks:
        spec = header.tasks[name]
        named = spec.visits if isinstance(spec, PooledSpec) and spec.level == "subject" else None
        read |= set(named or every)
    return [visit for visit in every if visit in read]


def are_visits_joined(header: Header) -> bool:
    """Whether any task rests on several visits of a subject: a subject task, or a visit task with a history."""
    return any(isinstance(spec, PooledSpec) and spec.joins_visits for spec in header.tasks.values())


def list_history_tasks(header: Header) -> list[str]:
    """List the visit tasks that read, beside their own visit, the earlier ones."""
    return [n for n, spec in header.tasks.items() if isinstance(spec, PooledSpec) and spec.reads_history]


def list_joined_visits(header: Header, task: str) -> list[str]:
    """List the visits that a task joins into one answer, in the header's order; none for a voxel or visit task."""
    return list_read_visits(header, [task]) if header.tasks[task].level == "subject" else []
