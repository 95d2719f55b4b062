"""Which visits each task may read, what that excludes, and which visits a network can leave out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from polytask.errors import PolytaskError
from polytask.model.network_settings import NetworkSpec
from polytask.task_chains import find_upstream_tasks
from polytask.tasks.task import Task


def find_visit_slots(spec: NetworkSpec, tasks: Mapping[str, Task]) -> dict[str, list[int]]:
    """Find the visit slots that each subject task reads.

    Raises:
        PolytaskError: a chain would show a task a visit that it may not read.
    """
    subject = [name for name, task in tasks.items() if task.level == "subject"]
    slots = {name: list(spec.visits.get(name) or range(spec.max_visits)) for name in subject}
    for task in subject:
        for up in find_upstream_tasks(task, spec.after) & set(subject):
            if not set(slots[up]) <= set(slots[task]):
                raise PolytaskError(
                    f"model.after: {task!r} reads fewer visits than {up!r}, whose answer would show it the others; "
                    "give both the same `visits` in cohort.yaml, or take the link away"
                )
    return slots


def find_unread_slots(
    slots: Mapping[str, Sequence[int]], tasks: Mapping[str, Task], visits: int
) -> list[int]:
    """Find the visit slots that no task of a network reads; none where a voxel or visit task reads every visit.

    Args:
        slots: subject task → the slots that it reads. visits: number of visit slots.
    """
    if len(slots) < len(tasks):
        return []
    return sorted(set(range(visits)) - {slot for own in slots.values() for slot in own})


def find_partly_read_slots(
    slots: Mapping[str, Sequence[int]], spec: NetworkSpec, tasks: Mapping[str, Task]
) -> dict[str, list[int]]:
    """Find the visit slots at which the maps of a task are read, for the tasks where these are not all slots.

    A subject task reads its own maps at its own slots. The maps of a voxel task that pooled tasks follow are read where
    these read theirs; what the voxel task answers of its own needs every visit, which is up to the caller.

    Args:
        slots: subject task → the slots that it reads.
    """
    every = range(spec.max_visits)
    read = {name: set(own) for name, own in slots.items()}
    pooled = [name for name, task in tasks.items() if task.level != "voxel"]
    for name in tasks:
        if tasks[name].level == "voxel":
            readers = [t for t in pooled if name in find_upstream_tasks(t, spec.after)]
            read[name] = {slot for t in readers for slot in slots.get(t, every)} if readers else set(every)
    return {name: sorted(own) for name, own in read.items() if own != set(every)}
