"""Makes the plan from measured facts: the shared part from image headers and sizes, each fold from its train part."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from statistics import median_low

from polytask.cohort.cohort import Cohort
from polytask.cohort.splits import Splits, list_untrained_tasks
from polytask.cohort.strata import list_strata
from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import PlanReasons, join_first_names
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.fixed_values import FixedValues, find_effective_settings
from polytask.plan.machine import Machine, detect_machine
from polytask.plan.plan_schema import FoldPlan, Plan, SharedPlan
from polytask.plan.plan_settings import set_remaining_values
from polytask.plan.rules.augmentation import plan_augmentation
from polytask.plan.rules.fold_facts import FoldFacts
from polytask.plan.rules.image_rules import plan_images
from polytask.plan.rules.normalization_rules import plan_normalization
from polytask.plan.rules.parsed_columns import ParsedColumns
from polytask.plan.rules.roi_rules import plan_crops, plan_finding_sizes
from polytask.plan.rules.shared_facts import SharedFacts
from polytask.plan.rules.site_rules import list_site_warnings
from polytask.plan.rules.slide_rules import plan_slide_scales, plan_slides
from polytask.plan.rules.source_subsets import describe_source_subsets
from polytask.plan.rules.table_rules import plan_tables
from polytask.plan.rules.task_rules import plan_task
from polytask.plan.rules.training_rules import plan_model, plan_training
from polytask.plan.rules.view_readers import find_view_readers
from polytask.plan.setting_paths import PlanSetting, parse_settings

LOG = logging.getLogger(__name__)
MEMORY_KEYS = (
    "trunk",
    "encoder",
    "sharing",
    "form",
    "decoder",
    "after",
    "link",
    "uncertainty",
    "passes",
    "second_network",
)
"""Values of `model` on which the memory of a step depends; set by hand, they change the sizes that fit."""


def make_plan(
    cohort: Cohort,
    fingerprint: Fingerprint,
    splits: Splits,
    seed: int = 0,
    machine: Machine | None = None,
    settings: Sequence[str] = (),
) -> Plan:
    """Decide every value of the plan, each with its reason.

    Args:
        cohort: the cohort to plan for; its test subjects are not read.
        fingerprint: measurements of the same cohort.
        splits: the folds; the plan gets one part for each.
        seed: the seed of the splits, recorded in the plan.
        machine: the machine to plan for; None measures this one, which takes about a second.
        settings: values set by hand, e.g. `training.epochs=4`. The rules decide everything else to go with them.

    Raises:
        PolytaskError: a class, event, structure or image is missing from the train part of a fold, or a value cannot
            be set.
    """
    if not cohort.header.tasks:
        raise PolytaskError(f"{cohort.root}: cohort.yaml names no task; add at least one under `tasks`")
    lacking = [c.key for c in cohort.cases if not c.test and c.key not in fingerprint.cases]
    if lacking:
        raise PolytaskError(f"fingerprint: case {lacking[0]} is not in it; run `polytask plan` again")
    planned_machine = machine or detect_machine()
    strata = list_strata(cohort, cohort.list_split_subjects("train")) if splits.scheme == "site" else {}
    untrained = {
        number: list_untrained_tasks(cohort, splits, fold, strata) for number, fold in enumerate(splits.folds)
    }
    by_hand = parse_settings(settings, untrained)
    shared, fixed = decide_shared_part(cohort, fingerprint, splits, planned_machine, by_hand)
    used = list(fixed.used)
    # Parsed once for all folds: they read the same cells, only other rows.
    parsed = ParsedColumns(cohort)
    folds: dict[int, FoldPlan] = {}
    for number, fold in enumerate(splits.folds):
        own = FixedValues(cohort.header, [s for s in by_hand if s.section == f"folds.{number}"])
        facts = FoldFacts(cohort, fingerprint, number, fold.train, shared.images, parsed)
        folds[number] = _plan_fold(facts, untrained[number], own)
        used += own.used
    plan = Plan(
        cohort=str(cohort.root.resolve()),
        digest=cohort.digest,
        seed=seed,
        shared=shared,
        folds=folds,
    )
    if not by_hand:
        return plan
    for problem in fixed.warnings:
        LOG.warning("--set %s: %s", " ".join(settings), problem)
    return set_remaining_values(plan, by_hand, used, fixed.settings)


def decide_shared_part(
    cohort: Cohort,
    fingerprint: Fingerprint,
    splits: Splits,
    machine: Machine,
    by_hand: Sequence[PlanSetting],
) -> tuple[SharedPlan, FixedValues]:
    """Decide the values that all folds share, around those of them that were set by hand.

    Returns them, and the settings without which the rules would have decided otherwise, with what came of them.
    """

    def plan_shared_part(fixed: FixedValues) -> SharedPlan:
        return _plan_shared_part(cohort, fingerprint, splits, machine, fixed)

    effective, replaced = find_effective_settings(
        [setting for setting in by_hand if setting.section == "shared"],
        lambda some: plan_shared_part(FixedValues(cohort.header, some)),
        cohort.header.tasks,
    )
    fixed = FixedValues(cohort.header, effective, replaced)
    return plan_shared_part(fixed), fixed


def _plan_shared_part(
    cohort: Cohort, fingerprint: Fingerprint, splits: Splits, machine: Machine, fixed: FixedValues
) -> SharedPlan:
    # One shared part serves folds of different sizes. The low median is a size that one of them really has.
    sizes = [len(cohort.samples(fold.train)) for fold in splits.folds]
    why = PlanReasons(fixed=fixed)
    basis = SharedFacts(cohort, fingerprint, _fix_machine(machine, why), median_low(sizes))
    visits = why.choose_value("max_visits", basis.max_visits)
    basis = replace(basis, fixed_visits=visits)
    why["max_visits"] = _explain_visits(basis)
    # The model comes first: how many encoders, decoders and masks the memory of an image must hold follows from it.
    model = plan_model(basis, why)
    for key in MEMORY_KEYS:
        setattr(model, key, why.choose_value(f"model.{key}", getattr(model, key)))
    # Under `single` one network is trained after another: a step holds one encoder at a time.
    alone = model.sharing == "single" and not model.after
    basis = replace(basis, model=model.model_copy(update={"sharing": "hard"}) if alone else model)
    decoders = {
        name: find_view_readers(cohort.header, name, basis.model, "whole").decoders
        for name in cohort.header.images
    }
    images, step = plan_images(basis, decoders, why)
    images, step = plan_crops(basis, images, step, why)
    slides, more = plan_slides(basis, why)
    warnings = list_site_warnings(basis, splits)
    why["warnings"] = (
        "from which samples and sites have the answers of each task"
        if warnings
        else "none: every two tasks have common samples, and of several sites none alone has a task"
    )
    return SharedPlan(
        max_visits=visits,
        images=images,
        slides=slides,
        augmentation=plan_augmentation(cohort.header, fingerprint, images, basis.pooled, why),
        model=model,
        training=plan_training(basis, step.add_cost(more), images, why),
        warnings=warnings,
        why=why.reasons,
    )


def _explain_visits(basis: SharedFacts) -> str:
    if not basis.cohort.samples_are_subjects:
        return "one: no task reads several visits together, so every visit is a sample of its own"
    if len(basis.read_visits) < basis.max_visits:
        return (
            f"a place for each visit named in the header; only {join_first_names(basis.read_visits)} "
            f"({len(basis.read_visits)} of {basis.max_visits}) are read by a task: the others are neither loaded nor "
            "computed"
        )
    return "all visits named in the header, because the tasks read them all"


def _fix_machine(machine: Machine, why: PlanReasons) -> Machine:
    """Return the machine with the precision and the threads set by hand, since its speed follows from them."""
    precision = why.choose_value("training.precision", machine.precision)
    speed = machine.measured_speed
    if precision != machine.precision:
        # The probe measured how many times faster bf16 is; 0 when it did not, and typical speeds hold.
        speed = speed / machine.gain if precision == "float32" and machine.gain else speed * machine.gain
    threads = why.choose_value("training.threads", machine.threads)
    return replace(machine, precision=precision, measured_speed=speed, fixed_threads=threads)


def _plan_fold(basis: FoldFacts, untrained: list[str], fixed: FixedValues) -> FoldPlan:
    why = PlanReasons(fixed=fixed)
    why["sources"] = describe_source_subsets(basis)
    trained = [name for name in basis.cohort.header.tasks if name not in untrained]
    why["untrained"] = (
        "tasks that no training subject has"
        if untrained
        else "none: some training subject has the answer of each task"
    )
    nobody = f"none of the {len(basis.train)} training subjects of this fold has a known answer"
    return FoldPlan(
        normalization=plan_normalization(basis, why),
        tables=plan_tables(basis, why),
        slides=plan_slide_scales(basis, why),
        finding_sizes=plan_finding_sizes(basis, why),
        tasks={name: plan_task(basis, name, why.at(f"tasks.{name}")) for name in trained},
        untrained=dict.fromkeys(untrained, nobody),
        why=why.reasons,
    )
