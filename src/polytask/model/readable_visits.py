"""Which visits each task may read, and what that excludes."""

from __future__ import annotations

from collections.abc import Mapping

from polytask.errors import PolytaskError
from polytask.model.network_settings import NetworkSpec
from polytask.model.order import find_upstream_tasks
from polytask.model.visit_fusion import MIN_FUSION_VISITS
from polytask.tasks.task import Task


def find_visit_slots(spec: NetworkSpec, tasks: Mapping[str, Task]) -> dict[str, list[int]]:
    """Find the visit slots that each subject task reads.

    Raises:
        PolytaskError: visits are compared and no task reads enough of them, or a chain would show a task a visit that
            it may not read.
    """
    subject = [name for name, task in tasks.items() if task.level == "subject"]
    slots = {name: list(spec.visits.get(name) or range(spec.max_visits)) for name in subject}
    least = MIN_FUSION_VISITS[spec.visit_fusion]
    if least > 1 and max(map(len, slots.values()), default=0) < least:
        raise PolytaskError(
            f"model.visit_fusion: {spec.visit_fusion!r} compares {least} visits, and no subject task reads so many; "
            "name more `visits` in cohort.yaml, or choose concat"
        )
    for task in subject:
        for up in find_upstream_tasks(task, spec.after) & set(subject):
            if not set(slots[up]) <= set(slots[task]):
                raise PolytaskError(
                    f"model.after: {task!r} reads fewer visits than {up!r}, whose answer would show it the others; "
                    "give both the same `visits` in cohort.yaml, or take the link away"
                )
    return slots
