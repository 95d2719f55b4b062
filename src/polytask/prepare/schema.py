"""The form of a batch: which views, tasks and shapes it has. It is fixed before the first sample is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from polytask.cohort import header
from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import FoldPlan, ImagePlan, Plan
from polytask.plan.roi_plan import choose_fold_roi
from polytask.prepare.mirrored_channels import order_mirrored_channels
from polytask.prepare.normalization import count_input_planes, map_channel_planes
from polytask.prepare.slot_assignment import count_visit_slots


@dataclass(frozen=True)
class VoxelTaskShape:
    """A voxel task: its image, the number of its structures, and which pairs of them are mirror images.

    Args:
        image: the image input that its masks or doses lie on.
        structures: K; 1 for a dose.
        exclusive: whether structures cannot overlap, so that one label map holds them all.
        dose: whether values are a dose, not labels.
        swaps: pairs of structures (from 0) that a left-right flip exchanges.
    """

    image: str
    structures: int
    exclusive: bool
    dose: bool
    swaps: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class BatchSchema:
    """What all samples of one loader have in common.

    Args:
        images: image input → its plan.
        whole: image inputs with a whole view.
        padded: those of them whose views are padded to the largest of a batch.
        patch: image inputs with patches.
        crops: image inputs with crops for the pooled tasks.
        slides: slide inputs; empty when only voxel tasks are asked for, because these read no slides.
        voxel: the voxel tasks that are asked for.
        pooled: names of the other tasks.
        channel_orders: image input → its channels after a left-right flip, where some of them are mirror images.
        slots: visits of each sample.
        tasks: names of all tasks that are asked for, in the order of the header.
        channel_planes: image input → channel → its planes of the array.
        input_planes: image input → planes that the encoder reads, with the flags of the channels.
        plan, fold: the source of all numbers.
    """

    images: dict[str, ImagePlan]
    whole: tuple[str, ...]
    padded: tuple[str, ...]
    patch: tuple[str, ...]
    crops: tuple[str, ...]
    slides: tuple[str, ...]
    voxel: dict[str, VoxelTaskShape]
    pooled: tuple[str, ...]
    channel_orders: dict[str, tuple[int, ...]]
    slots: int
    tasks: tuple[str, ...]
    channel_planes: dict[str, dict[str, slice]]
    input_planes: dict[str, int]
    plan: Plan
    fold: FoldPlan


def make_batch_schema(
    cohort: Cohort, plan: Plan, fold: FoldPlan, tasks: Iterable[str] | None = None
) -> BatchSchema:
    """Make the schema for `tasks` (None: all tasks of the header).

    An input with field `both` loses the view that none of the tasks reads: its patches without a voxel task on that
    image, its whole view without a pooled task.
    """
    names = list(cohort.header.tasks) if tasks is None else list(tasks)
    if odd := [n for n in names if n not in cohort.header.tasks]:
        known = ", ".join(cohort.header.tasks)
        raise PolytaskError(f"task {odd[0]!r} is not in the cohort; it has {known}; choose from these")
    voxel: dict[str, VoxelTaskShape] = {}
    for name in names:
        task = cohort.header.tasks[name]
        if isinstance(task, header.MaskSpec):
            swaps = tuple((task.names.index(a), task.names.index(b)) for a, b in task.mirror)
            voxel[name] = VoxelTaskShape(task.image, len(task.names), task.exclusive, False, swaps)
        elif isinstance(task, header.VoxelSpec):
            voxel[name] = VoxelTaskShape(task.image, 1, False, True, ())
    pooled = tuple(n for n in names if n not in voxel)
    images = {
        n: i.model_copy(update={"roi": choose_fold_roi(i, fold.finding_sizes.get(n, {}))}) if i.roi else i
        for n, i in plan.shared.images.items()
    }
    on = {v.image for v in voxel.values()}
    whole = tuple(n for n, i in images.items() if i.field == "whole" or (i.field == "both" and pooled))
    return BatchSchema(
        images=images,
        whole=whole,
        padded=tuple(n for n in whole if images[n].padding is not None),
        patch=tuple(n for n, i in images.items() if i.field == "patch" or (i.field == "both" and n in on)),
        crops=tuple(n for n, i in images.items() if i.roi) if pooled else (),
        slides=tuple(plan.shared.slides) if pooled else (),
        voxel=voxel,
        pooled=pooled,
        channel_orders={
            n: order
            for n, i in images.items()
            if (order := order_mirrored_channels(cohort.header.images[n], i))
        },
        slots=count_visit_slots(cohort.header, plan.shared.max_visits),
        tasks=tuple(n for n in cohort.header.tasks if n in names),
        channel_planes={n: map_channel_planes(i) for n, i in images.items()},
        input_planes={n: count_input_planes(i) for n, i in images.items()},
        plan=plan,
        fold=fold,
    )
