"""Plans the tasks of a fold: each kind decides its own fields from plain values of the train part."""

from __future__ import annotations

from typing import Any

from polytask.cohort.cell_values import does_task_apply
from polytask.cohort.header import EventTimeSpec, MaskSpec, PooledSpec, VoxelSpec
from polytask.kinds import find_pooled_kind, find_voxel_kind
from polytask.kinds.applicability import describe_condition
from polytask.kinds.kind import MissingInTrain, TrainVoxels
from polytask.kinds.landmarks import decide_landmarks
from polytask.kinds.plan_reasons import PlanReasons
from polytask.plan.fingerprint_records import CropRule
from polytask.plan.quantile_sketch import SummaryPool
from polytask.plan.rules.fold_facts import FoldFacts


def plan_task(basis: FoldFacts, name: str, why: PlanReasons) -> dict[str, Any]:
    """Plan the fields of one task, as they stand in `folds.K.tasks.NAME` of the plan.

    Raises:
        PolytaskError: the train part lacks something without which the task cannot be learned.
    """
    task = basis.cohort.header.tasks[name]
    try:
        if isinstance(task, VoxelSpec):
            return find_voxel_kind(task.kind).decide_fields(task, gather_train_voxels(basis, name, task), why)
        assert isinstance(task, PooledSpec)
        kind = find_pooled_kind(task.kind)
        explain_condition(basis, name, task, why)
        if not isinstance(task, EventTimeSpec) or not task.landmarks:
            return kind.decide_fields(task, basis.values(name), why)
        # Before the other fields: where nobody is at risk this says at which landmark.
        at_risk = {v: kind.make_arrays(task, basis.list_landmark_answers(name, v))[0] for v in task.landmarks}
        curves = decide_landmarks(at_risk, why)
        return {**kind.decide_fields(task, basis.values(name), why), "landmarks": curves}
    except MissingInTrain as lack:
        raise basis.missing(name, str(lack)) from None


def explain_condition(basis: FoldFacts, name: str, task: PooledSpec, why: PlanReasons) -> None:
    """Give the reason of `applies_when`, with the number of training items that the task does not apply to: their
    answers are not missing."""
    if task.applies_when:
        applies = [does_task_apply(basis.cohort, cases, name) for cases in basis.items(task.level)]
        why["applies_when"] = (
            f"as in the header: {describe_condition(task.applies_when)}; of {len(applies)} {task.level}s in train it "
            f"applies to {applies.count(True)} and does not to {applies.count(False)}, whose answers are not missing"
        )


def gather_train_voxels(basis: FoldFacts, name: str, task: VoxelSpec) -> TrainVoxels:
    """Gather what the fingerprint knows about the files of a voxel task in the train part."""
    image = basis.images[task.image]
    # The fingerprint does not read the column of a crop box, so with that rule the whole image counts.
    crop: CropRule = "none" if image.crop.rule == "box" else image.crop.rule
    records = [record.voxels[name] for record in basis.records if name in record.voxels]
    doses = [record.values[crop] for record in records if crop in record.values]
    drawn = basis.cohort.header.tasks.get(task.judging_masks or "")
    return TrainVoxels(
        masks=records,
        crop=crop,
        doses=SummaryPool(doses) if doses else None,
        spacing=tuple(image.spacing),
        unit=image.unit,
        structures=drawn.names if isinstance(drawn, MaskSpec) else [],
        table=f"{basis.cohort.table}: task {name}",
        # Asked only to tell a structure that is rare in train from a wrong label value in the header. It reads other
        # parts than train, but nothing of it enters the plan.
        occurs=lambda structure: any(
            case.voxels[name].counts.get(structure)
            for case in basis.fingerprint.cases.values()
            if name in case.voxels
        ),
    )
