"""What a batch of a fold looks like: which views, tasks and shapes. Fixed before the first sample is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polytask.cohort import header
from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan import FoldPlan, ImagePlan, Plan
from polytask.prepare.mirrored_channels import order_channels
from polytask.prepare.slots import visit_slots


@dataclass(frozen=True)
class Voxel:
    """A voxel task: the image it lives on, its K structures, and which of them are mirror images."""

    image: str
    structures: int
    exclusive: bool
    dose: bool
    swaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Schema:
    """Everything the samples of one loader have in common.

    Args:
        images: the plan's, by input.
        whole: inputs with a whole view. patch: inputs with patches.
        slides: inputs with bags; empty when only voxel tasks are asked for, which read none.
        voxel: the voxel tasks asked for. pooled: the names of the others.
        channel_orders: input → its channels after a flip left to right, where some of them are mirror images.
        slots: visits per sample.
        plan, fold: where the numbers come from.
    """

    images: dict[str, ImagePlan]
    whole: tuple[str, ...]
    patch: tuple[str, ...]
    slides: tuple[str, ...]
    voxel: dict[str, Voxel]
    pooled: tuple[str, ...]
    channel_orders: dict[str, tuple[int, ...]]
    slots: int
    plan: Plan
    fold: FoldPlan


def make_schema(cohort: Cohort, plan: Plan, fold: FoldPlan, tasks: Iterable[str] | None = None) -> Schema:
    """The schema for `tasks` (None: all of the header).

    Of an input with field `both` a view that no task asked for reads is left out: patches without a voxel task on
    that image, the whole view without a pooled task.
    """
    names = list(cohort.header.tasks) if tasks is None else list(tasks)
    if odd := [n for n in names if n not in cohort.header.tasks]:
        known = ", ".join(cohort.header.tasks)
        raise PolytaskError(f"task {odd[0]!r} is not in the cohort; it has {known}; choose from these")
    voxel: dict[str, Voxel] = {}
    for name in names:
        task = cohort.header.tasks[name]
        if isinstance(task, header.SegmentationSpec):
            swaps = tuple((task.names.index(a), task.names.index(b)) for a, b in task.mirror)
            voxel[name] = Voxel(task.image, len(task.names), task.exclusive, False, swaps)
        elif isinstance(task, header.DoseSpec):
            voxel[name] = Voxel(task.image, 1, False, True, ())
    pooled = tuple(n for n in names if n not in voxel)
    images = plan.shared.images
    on = {v.image for v in voxel.values()}
    return Schema(
        images=images,
        whole=tuple(n for n, i in images.items() if i.field == "whole" or (i.field == "both" and pooled)),
        patch=tuple(n for n, i in images.items() if i.field == "patch" or (i.field == "both" and n in on)),
        slides=tuple(plan.shared.slides) if pooled else (),
        voxel=voxel,
        pooled=pooled,
        channel_orders={
            n: order for n, i in images.items() if (order := order_channels(cohort.header.images[n], i))
        },
        slots=visit_slots(cohort.header, plan.shared.max_visits),
        plan=plan,
        fold=fold,
    )
