"""Which task's answer feeds which: nothing (parallel), or chains.

A task declared `after` others reads a token per upstream task, made by a link. A link is built as
`Link(upstream task, width)`; to add one, write the file and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

from torch import Tensor

from polytask.errors import PolytaskError
from polytask.model.order.embedding import Embedding
from polytask.tasks.task import Task


class Link(Protocol):
    """An `nn.Module` that turns an upstream output into a token of the downstream task."""

    def __call__(self, output: Tensor) -> Tensor:
        """`[..., outputs] → [..., width]`, differentiable: the chain is trained end to end."""


LINKS: dict[str, Callable[[Task, int], Link]] = {"embedding": Embedding}


def sequence(tasks: Mapping[str, Task], after: Mapping[str, Sequence[str]]) -> list[str]:
    """The tasks such that every task comes behind those it is `after`; otherwise in their own order.

    Raises:
        PolytaskError: an unknown task, a cycle (it is named), or a visit task after a subject task, which would let it
            see later visits.
    """
    for task, upstream in after.items():
        for name in (task, *upstream):
            if name not in tasks:
                raise PolytaskError(f"model.after: task {name!r} is not there; it has {', '.join(tasks)}")
            if tasks[name].level == "voxel":
                raise PolytaskError(
                    f"model.after: {name!r} is a voxel task; chains join visit and subject tasks"
                )
        for name in upstream:
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
