"""Turns a request into the design of a new study, or extends the design of an existing one. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from polytask.errors import PolytaskError
from polytask.kinds.plan_reasons import join_first_names
from polytask.model.sharing_names import LIGHT_NAMES
from polytask.plan.machine import count_usable_cores
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_settings import set_values
from polytask.prepare.store_builder import check_store
from polytask.study.arms import (
    Arm,
    keep_arms,
    list_arms,
    make_named_arm,
    refuse_other_definition,
)
from polytask.study.costs_beside_hard import HARD
from polytask.study.grouped_run import find_affinity_share, refuse_impossible_groups
from polytask.study.margins import choose_default_margin, read_margins
from polytask.study.study_budget import fix_step_budget
from polytask.study.study_design import (
    STUDY_FILE,
    ArmTiming,
    StudyDesign,
    refuse_changes,
    refuse_other_budget,
)
from polytask.study.study_location import StudyLocation
from polytask.study.study_request import StudyRequest
from polytask.study.workspace import Workspace

DEFAULT_SEEDS = 3
DEFAULT_RESAMPLES = 1000
AFFINITY_SHARE = 0.05
"""Share of the training time of a joint arm in which affinities between its tasks are measured."""


def draft_design(
    location: StudyLocation,
    workspace: Workspace,
    request: StudyRequest,
    jobs: int = 1,
    command: str = "",
    say: Callable[[str], None] = lambda what: None,
) -> StudyDesign:
    """Make the design. The plan of every arm is checked, and arms without a timing are timed.

    Args:
        jobs: number of runs at a time; the plan's threads are divided among them, once, for all runs.
        command: the command line, noted in `study.yaml`.

    Raises:
        PolytaskError: the request needs something that plan or cohort lack, or contradicts the existing study.
    """
    if (location.folder / STUDY_FILE).is_file():
        return _draft_continued_design(
            StudyDesign.read(location.folder), location, workspace, request, command, say
        )
    return _draft_new_design(location, workspace, request, jobs, command, say)


def _draft_new_design(
    location: StudyLocation,
    workspace: Workspace,
    request: StudyRequest,
    jobs: int,
    command: str,
    say: Callable[[str], None],
) -> StudyDesign:
    from polytask.training.distributed import choose_device
    from polytask.training.folder import describe_environment

    tasks, settings = workspace.tasks(request.tasks), workspace.plan.shared.training
    arms = _list_requested_arms(workspace, request.choose_sharing((HARD,)), request, request.tasks)
    overrides = request.overrides or ()
    # Threads are fixed in the design: sums of floats depend on them, and a resumed run must give the same weights.
    threads = max(1, min(settings.threads, count_usable_cores() // jobs))
    device = request.device or str(choose_device(None))
    folds = workspace.folds(request.folds, tasks)
    cut = (f"training.balance.cut={request.cut}",) if request.cut else ()
    # Only what is known before the timing; `tune_every` follows from the timing and is added by the design.
    changes = (*overrides, *cut, "training.patience=0", f"training.threads={threads}")
    _refuse_followed_settings(workspace, overrides)
    share = find_affinity_share(workspace.plan, overrides, AFFINITY_SHARE)
    refuse_impossible_groups(arms, tasks, share, request.steps)
    plans = _plan_arms(workspace, arms, request.tasks, changes)
    _say_memory_excess(workspace, plans, folds[0], tasks, device, say)
    plans |= _plan_hard_beside(workspace, arms, request.tasks, changes)
    paces = _time_planned_arms(workspace, plans, folds, tasks, device, say)
    chosen = set_values(workspace.plan, overrides).shared.training
    budget = fix_step_budget(request, chosen, arms, paces)
    refuse_impossible_groups(arms, tasks, share, budget.steps)
    return StudyDesign(
        name=location.folder.resolve().name,
        work=os.path.relpath(location.work.resolve(), location.folder.resolve()),
        arms=arms,
        folds=folds,
        # Seeds always count from 0, so that asking for more seeds later keeps the runs that exist.
        seeds=tuple(range(request.seeds or DEFAULT_SEEDS)),
        steps=budget.steps,
        how=budget.how,
        minutes=request.minutes,
        tune_every=budget.tune_every,
        threads=threads,
        precision=chosen.precision,
        device=device,
        cut=request.cut,
        tasks=request.tasks,
        overrides=overrides,
        resamples=request.resamples or DEFAULT_RESAMPLES,
        rests=workspace.rests(),
        paces=paces,
        versions=describe_environment(),
        commands=(command,) if command else (),
        margins=_fix_margins(workspace, tasks, folds, request.margins or ()),
        affinity=AFFINITY_SHARE,
    )


def _fix_margins(
    workspace: Workspace, tasks: Sequence[str], folds: Sequence[int], given: Sequence[str]
) -> dict[str, float]:
    """Return the margin of every task: the default of its metric on these folds, changed by what was asked for."""
    from polytask.training.assemble import make_tasks

    by_fold = [make_tasks(workspace.plan.folds[fold], tasks) for fold in folds]
    return read_margins(
        given,
        {task: choose_default_margin([made[task] for made in by_fold if task in made]) for task in tasks},
    )


def _draft_continued_design(
    design: StudyDesign,
    location: StudyLocation,
    workspace: Workspace,
    request: StudyRequest,
    command: str,
    say: Callable[[str], None],
) -> StudyDesign:
    refuse_changes(design, workspace.rests(), location.folder, location.work)
    if (
        request.margins
        and _fix_margins(workspace, list(design.margins), design.folds, request.margins) != design.margins
    ):
        has = ", ".join(f"{task}={margin:.3g}" for task, margin in design.margins.items())
        raise PolytaskError(
            f"{location.folder}: --margin {','.join(request.margins)}: fixed before the first run (it has {has}); "
            "leave --margin out to go on, or begin another study with -o"
        )
    refuse_other_budget(design, request, location.folder)
    arms = design.arms
    if request.sharing is not None or request.balance is not None or request.presets or request.arms:
        own = dict.fromkeys(a.name.partition("+")[0] for a in arms if a.of_sharing)
        sharing = request.choose_sharing(tuple(own))
        asked = _list_requested_arms(workspace, sharing, request, design.tasks)
        for arm in asked:
            if arm.name in (text.name for text in request.list_arm_texts()):
                refuse_other_definition(arm, design.arms, location.folder)
        arms = keep_arms(asked, design.arms)
    share = find_affinity_share(workspace.plan, design.overrides, design.affinity)
    refuse_impossible_groups((*design.arms, *arms), workspace.tasks(design.tasks), share, design.steps)
    new = [arm for arm in arms if arm not in design.arms]
    # `single` is timed again with new arms: only times from the same rounds give a fair ratio.
    timed_again = [
        arm for arm in arms if new and arm not in new and (arm.baseline or not design.timed(arm.name))
    ]
    plans = _plan_arms(workspace, [*timed_again, *new], design.tasks, design.list_plan_overrides())
    paces = _time_planned_arms(
        workspace,
        plans,
        design.folds,
        workspace.tasks(design.tasks),
        design.device,
        say,
    )
    values = {
        **vars(design),
        "arms": arms,
        "folds": workspace.folds(request.folds, workspace.tasks(design.tasks))
        if request.folds
        else design.folds,
        "seeds": tuple(range(request.seeds)) if request.seeds else design.seeds,
        "paces": paces,
    }
    return design.extended(StudyDesign(**values), command)


def _plan_hard_beside(
    workspace: Workspace, arms: Sequence[Arm], tasks: Sequence[str] | None, changes: Sequence[str]
) -> dict[str, Plan]:
    """Plan `hard` where it is no arm: it is timed too, because every arm's step is told as a multiple of it."""
    if any(arm.name == HARD for arm in arms):
        return {}
    try:
        return _plan_arms(workspace, [Arm(HARD, HARD)], tasks, changes)
    except PolytaskError:  # what is set for all arms does not go with it
        return {}


def _list_requested_arms(
    workspace: Workspace, sharing: Sequence[str], request: StudyRequest, tasks: Sequence[str] | None
) -> tuple[Arm, ...]:
    from polytask.registries import load_registry

    names = [*load_registry("sharing"), *LIGHT_NAMES.values()]
    plan, header = workspace.plan, workspace.header(tasks)
    arms = list_arms(sharing, request.balance or ("equal",), request.presets, plan, header, names)
    return (*arms, *(make_named_arm(text, plan, header) for text in request.list_arm_texts()))


def _plan_arms(
    workspace: Workspace, arms: Sequence[Arm], tasks: Sequence[str] | None, changes: Sequence[str]
) -> dict[str, Plan]:
    """Make the plan of each arm and check that the store was prepared for it."""
    plans = {arm.name: arm.plan(workspace.plan, workspace.header(tasks), changes) for arm in arms}
    for plan in plans.values():
        check_store(workspace.store, workspace.cohort, plan)
    return plans


def _refuse_followed_settings(workspace: Workspace, overrides: Sequence[str]) -> None:
    """Refuse settings that other sizes should follow: the arms of a study all have those of the plan.

    Raises:
        PolytaskError: the message has the command that plans them for all arms.
    """
    from polytask.training.replanned_values import list_followers, write_plan_command

    followers = list_followers(workspace.work, workspace.plan, overrides)
    if followers:
        raise PolytaskError(
            f"--set {' '.join(overrides)}: {join_first_names(followers, 3)} would follow, but the arms of a study "
            "share the sizes of the plan; plan them for all arms first: "
            f"{write_plan_command(workspace.work, workspace.plan, overrides)}"
        )


def _say_memory_excess(
    workspace: Workspace,
    plans: Mapping[str, Plan],
    fold: int,
    tasks: Sequence[str],
    device: str,
    say: Callable[[str], None],
) -> None:
    """Say of which arms a step is predicted to exceed the memory. Their sizes stay: all arms have those of the plan."""
    import torch

    from polytask.training.memory_warning import describe_device, find_memory_excess
    from polytask.training.run_plan import choose_fold_tasks
    from polytask.training.run_record import assign_networks

    machine = describe_device(torch.device(device))
    for arm, plan in plans.items():
        model, trained = plan.shared.model, choose_fold_tasks(plan, fold, tasks)
        networks = assign_networks(trained, model.sharing, model.after, model.groups)
        if excess := find_memory_excess(plan, workspace.header(None), networks, machine):
            say(
                f"arm {arm}: {excess.words}; all arms keep the sizes of the plan, so that they can be compared; "
                "plan smaller ones for all, or leave the arm out"
            )


def _time_planned_arms(
    workspace: Workspace,
    plans: Mapping[str, Plan],
    folds: Sequence[int],
    tasks: Sequence[str],
    device: str,
    say: Callable[[str], None],
) -> dict[str, ArmTiming]:
    from polytask.study.arm_timing import NO_GRADIENT_LOG, time_arms
    from polytask.training.freed_memory import give_freed_memory_back

    # Logging gradients costs time in a few steps only; among so few timed steps it would count too much.
    quiet = {arm: set_values(plan, [NO_GRADIENT_LOG]) for arm, plan in plans.items()}
    # One fold stands for all: they share one network plan, so their steps take about the same time.
    fold = workspace.choose_timed_fold(folds, tasks)
    trained = workspace.list_trained_tasks(fold, tasks)
    try:
        return time_arms(workspace.work, workspace.cohort, quiet, fold, trained, device, say) if quiet else {}
    finally:
        give_freed_memory_back()  # this process only watches from here on
