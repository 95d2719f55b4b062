"""Which task's answer another task reads: none (parallel tasks), or chains.

A task that is declared `after` others reads each upstream answer through a link. The answer of a visit or subject task
becomes a token (`embedding` of classes, `number`). That of a voxel task becomes a token too (`gate`), planes of a
second network (`channel`), or one more map whose visits are joined like those of the image (`logits`). A voxel task may
read the answer of a visit task too: it changes the maps that the decoder reads (`modulation`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from torch import nn

from polytask.errors import PolytaskError
from polytask.model.order.channel import ChannelLink
from polytask.model.order.embedding import EmbeddingLink
from polytask.model.order.gate import GateLink
from polytask.model.order.logits import LogitsLink
from polytask.model.order.modulation import ModulationLink
from polytask.model.order.number import NumberLink
from polytask.task_chains import find_upstream_tasks
from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form

LINKS: dict[str, type[nn.Module]] = {
    "embedding": EmbeddingLink,
    "number": NumberLink,
    "gate": GateLink,
    "channel": ChannelLink,
    "logits": LogitsLink,
    "modulation": ModulationLink,
}
VECTOR_LINKS = ("embedding", "number")
"""The links that carry the answer of a visit or subject task to another one, as one vector."""


def choose_link(task: Task, upstream: Task, chosen: Mapping[str, str]) -> str:
    """Choose how a task reads an upstream answer: as the plan says, or the light way by default.

    Raises:
        PolytaskError: the link cannot carry this answer to this task.
    """
    if upstream.level != "voxel" and task.level == "voxel":
        return "modulation"
    if upstream.level != "voxel":
        return "number" if find_task_form(upstream) in ("number", "time") else "embedding"
    usual = "channel" if task.level == "voxel" else "gate"
    link = chosen.get(task.name, usual)
    if (
        link not in LINKS
        or link in (*VECTOR_LINKS, "modulation")
        or (link != "channel" and task.level == "voxel")
    ):
        can = "channel" if task.level == "voxel" else "gate, channel or logits"
        raise PolytaskError(
            f"model.link.{task.name}: {link!r} cannot carry the map of {upstream.name!r} to a {task.level} task; "
            f"choose {can}"
        )
    return link


def order_tasks(tasks: Mapping[str, Task], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Order the tasks so that each one comes after its upstream tasks, otherwise in their given order.

    Raises:
        PolytaskError: an unknown task, a cycle (it is named), a voxel or visit task after a subject task, which would
            let it see later visits, or a pooled task after a voxel task that follows a pooled one.
    """
    for task, upstream in after.items():
        for name in (task, *upstream):
            if name not in tasks:
                raise PolytaskError(
                    f"model.after: task {name!r} is not known; expected one of {', '.join(tasks)}"
                )
        for name in upstream:
            if tasks[task].level != "subject" and tasks[name].level == "subject":
                raise PolytaskError(
                    f"model.after: {task!r} is asked at a visit, {name!r} of the whole subject; a visit must not see "
                    "later visits"
                )
    try:
        order = list(TopologicalSorter({t: after.get(t, ()) for t in tasks}).static_order())
    except CycleError as error:
        raise PolytaskError(
            f"model.after: a cycle: {' → '.join(reversed(error.args[1]))}; remove one link"
        ) from None
    late = find_late_tasks(tasks, after)
    for task in (t for t in tasks if tasks[t].level != "voxel"):
        if read := sorted(find_upstream_tasks(task, after) & late):
            raise PolytaskError(
                f"model.after: {task!r} reads {read[0]!r}, which follows a visit task itself; visit and subject tasks "
                "can only follow voxel tasks that follow none"
            )
    return order


def find_late_tasks(tasks: Mapping[str, Task], after: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Find the voxel tasks that follow a visit task, directly or through others: their decoders run last."""
    pooled = {name for name, task in tasks.items() if task.level != "voxel"}
    return frozenset(name for name in tasks.keys() - pooled if find_upstream_tasks(name, after) & pooled)
