"""Makes the plan from measured facts: the shared part from image headers and sizes, each fold from its train part."""

from __future__ import annotations

from statistics import median_low

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits
from polytask.errors import PolytaskError
from polytask.kinds.reasons import Why
from polytask.plan.machine import Machine, this_machine
from polytask.plan.plan import FoldPlan, Plan, Shared
from polytask.plan.records import Fingerprint
from polytask.plan.rules.augmentation import plan_augmentation
from polytask.plan.rules.basis import Basis
from polytask.plan.rules.fold import FoldBasis
from polytask.plan.rules.images import plan_images
from polytask.plan.rules.normalisation import plan_normalisation
from polytask.plan.rules.parsed import ParsedColumns
from polytask.plan.rules.slides import plan_slide_scales, plan_slides
from polytask.plan.rules.sources import source_subsets
from polytask.plan.rules.tables import plan_tables
from polytask.plan.rules.tasks import plan_task
from polytask.plan.rules.training import plan_model, plan_training


def make_plan(
    cohort: Cohort, fingerprint: Fingerprint, splits: Splits, seed: int = 0, machine: Machine | None = None
) -> Plan:
    """Decide every value of the plan, each with its reason.

    Args:
        cohort: the cohort to plan for; its test subjects are not read.
        fingerprint: measurements of the same cohort.
        splits: the folds; the plan gets one part for each.
        seed: the seed of the splits, recorded in the plan.
        machine: the machine to plan for; None measures this one, which takes about a second.

    Raises:
        PolytaskError: a class, event, structure or image is missing from the train part of a fold.
    """
    if not cohort.header.tasks:
        raise PolytaskError(f"{cohort.root}: cohort.yaml names no task; add at least one under `tasks`")
    lacking = [c.key for c in cohort.cases if not c.test and c.key not in fingerprint.cases]
    if lacking:
        raise PolytaskError(f"fingerprint: case {lacking[0]} is not in it; run `polytask plan` again")
    shared = _shared(cohort, fingerprint, splits, machine or this_machine())
    # Parsed once for all folds: they read the same cells, only other rows.
    parsed = ParsedColumns(cohort)
    folds = {
        number: _fold(FoldBasis(cohort, fingerprint, number, fold.train, shared.images, parsed))
        for number, fold in enumerate(splits.folds)
    }
    return Plan(
        cohort=str(cohort.root.resolve()), digest=cohort.digest, seed=seed, shared=shared, folds=folds
    )


def _shared(cohort: Cohort, fingerprint: Fingerprint, splits: Splits, machine: Machine) -> Shared:
    # One shared part serves folds of different sizes. The low median is a size that one of them really has.
    sizes = [len(cohort.samples(fold.train)) for fold in splits.folds]
    basis = Basis(cohort, fingerprint, machine, median_low(sizes))
    why = Why()
    why["max_visits"] = (
        "all visits of the header: a subject task joins them"
        if cohort.pooled_by_subject
        else "one: no task joins visits, so every visit is a sample"
    )
    # The model comes first: its `decoder` says how many decoders the memory of an image must hold.
    model = plan_model(basis, why)
    decoders = {n: min(1, len(v)) if model.decoder == "shared" else len(v) for n, v in basis.voxel_on.items()}
    images, step = plan_images(basis, decoders, why)
    slides, more = plan_slides(basis, why)
    return Shared(
        max_visits=basis.max_visits,
        images=images,
        slides=slides,
        augmentation=plan_augmentation(cohort.header, fingerprint, images, basis.pooled, why),
        model=model,
        training=plan_training(basis, step.plus(more), images, why),
        why=why.reasons,
    )


def _fold(basis: FoldBasis) -> FoldPlan:
    why = Why()
    why["sources"] = source_subsets(basis)
    return FoldPlan(
        normalisation=plan_normalisation(basis, why),
        tables=plan_tables(basis, why),
        slides=plan_slide_scales(basis, why),
        tasks={name: plan_task(basis, name, why.at(f"tasks.{name}")) for name in basis.cohort.header.tasks},
        why=why.reasons,
    )
