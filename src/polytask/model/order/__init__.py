"""Which task's answer another task reads: none (parallel tasks), or chains.

A task that is declared `after` others reads each upstream answer through a link. The answer of a visit or subject task
becomes a token (`embedding` of classes, `number`). That of a voxel task becomes a token too (`gate`), planes of a
second network (`channel`), or one more map whose visits are joined like those of the image (`logits`).
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
from polytask.model.order.number import NumberLink
from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form

LINKS: dict[str, type[nn.Module]] = {
    "embedding": EmbeddingLink,
    "number": NumberLink,
    "gate": GateLink,
    "channel": ChannelLink,
    "logits": LogitsLink,
}
VECTOR_LINKS: dict[str, type[EmbeddingLink | NumberLink]] = {"embedding": EmbeddingLink, "number": NumberLink}
"""The links that carry the answer of a visit or subject task, as one vector."""


def choose_link(task: Task, upstream: Task, chosen: Mapping[str, str]) -> str:
    """Choose how a task reads an upstream answer: as the plan says, or the light way by default.

    Raises:
        PolytaskError: the link cannot carry this answer to this task.
    """
    if upstream.level != "voxel":
        return "number" if find_task_form(upstream) in ("number", "time") else "embedding"
    usual = "channel" if task.level == "voxel" else "gate"
    link = chosen.get(task.name, usual)
    if link not in LINKS or link in VECTOR_LINKS or (link != "channel" and task.level == "voxel"):
        can = "channel" if task.level == "voxel" else "gate, channel or logits"
        raise PolytaskError(
            f"model.link.{task.name}: {link!r} cannot carry the map of {upstream.name!r} to a {task.level} task; "
            f"choose {can}"
        )
    return link


def order_tasks(tasks: Mapping[str, Task], after: Mapping[str, Sequence[str]]) -> list[str]:
    """Order the tasks so that each one comes after its upstream tasks, otherwise in their given order.

    Raises:
        PolytaskError: an unknown task, a cycle (it is named), a voxel task after a pooled one, or a visit task after a
            subject task, which would let it see later visits.
    """
    for task, upstream in after.items():
        for name in (task, *upstream):
            if name not in tasks:
                raise PolytaskError(
                    f"model.after: task {name!r} is not known; expected one of {', '.join(tasks)}"
                )
        for name in upstream:
            if tasks[task].level == "voxel" and tasks[name].level != "voxel":
                raise PolytaskError(
                    f"model.after: {task!r} is a voxel task and {name!r} is not; a voxel task can only follow voxel "
                    "tasks"
                )
            if tasks[task].level == "visit" and tasks[name].level == "subject":
                raise PolytaskError(
                    f"model.after: {task!r} is asked at a visit, {name!r} of the whole subject; a visit must not see "
                    "later visits"
                )
    try:
        return list(TopologicalSorter({t: after.get(t, ()) for t in tasks}).static_order())
    except CycleError as error:
        raise PolytaskError(
            f"model.after: a cycle: {' → '.join(reversed(error.args[1]))}; remove one link"
        ) from None
