"""Turns a request into the design of a new study, or extends the design of an existing one. Nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from polytask.errors import PolytaskError
from polytask.plan.machine import usable_cores
from polytask.plan.plan import Plan
from polytask.plan.settings import set_values
from polytask.prepare.make import check_store
from polytask.study.arms import Arm, arms_of
from polytask.study.budget import budget_of
from polytask.study.design import FILE, Design, Pace, refuse_changes, refuse_other_budget
from polytask.study.ground import Ground
from polytask.study.margins import default_margin, read_margins
from polytask.study.ready import Place
from polytask.study.wanted import Wanted

SEEDS = 3
RESAMPLES = 1000


def draft(
    place: Place,
    ground: Ground,
    wanted: Wanted,
    jobs: int = 1,
    command: str = "",
    say: Callable[[str], None] = lambda what: None,
) -> Design:
    """Make the design. The plan of every arm is checked, and arms without a timing are timed.

    Args:
        jobs: number of runs at a time; the plan's threads are divided among them, once, for all runs.
        command: the command line, noted in `study.yaml`.

    Raises:
        PolytaskError: the request needs something that plan or cohort lack, or contradicts the existing study.
    """
    if (place.folder / FILE).is_file():
        return _continued(Design.read(place.folder), place, ground, wanted, command, say)
    return _begun(place, ground, wanted, jobs, command, say)


def _begun(
    place: Place, ground: Ground, wanted: Wanted, jobs: int, command: str, say: Callable[[str], None]
) -> Design:
    from polytask.training.distributed import device_named
    from polytask.training.folder import environment

    tasks, settings = ground.tasks(wanted.tasks), ground.plan.shared.training
    sharing = wanted.sharing if wanted.sharing is not None else () if wanted.presets else ("hard",)
    arms = _arms(ground, sharing, wanted.balance or ("equal",), wanted.presets, wanted.tasks)
    overrides = wanted.overrides or ()
    # Threads are fixed in the design: sums of floats depend on them, and a resumed run must give the same weights.
    threads = max(1, min(settings.threads, usable_cores() // jobs))
    device = wanted.device or str(device_named(None))
    folds = ground.folds(wanted.folds)
    cut = (f"training.balance.cut={wanted.cut}",) if wanted.cut else ()
    # Only what is known before the timing; `tune_every` follows from the timing and is added by the design.
    changes = (*overrides, *cut, "training.patience=0", f"training.threads={threads}")
    plans = _plans(ground, arms, wanted.tasks, changes)
    # One fold stands for all: they share one network plan, so their steps take about the same time.
    paces = _timed(ground, plans, folds[0], tasks, device, say)
    chosen = set_values(ground.plan, overrides).shared.training
    budget = budget_of(wanted, chosen, arms, paces)
    return Design(
        name=place.folder.resolve().name,
        work=os.path.relpath(place.work.resolve(), place.folder.resolve()),
        arms=arms,
        folds=folds,
        # Seeds always count from 0, so that asking for more seeds later keeps the runs that exist.
        seeds=tuple(range(wanted.seeds or SEEDS)),
        steps=budget.steps,
        how=budget.how,
        minutes=wanted.minutes,
        tune_every=budget.tune_every,
        threads=threads,
        precision=chosen.precision,
        device=device,
        cut=wanted.cut,
        tasks=wanted.tasks,
        overrides=overrides,
        resamples=wanted.resamples or RESAMPLES,
        rests=ground.rests(),
        paces=paces,
        versions=environment(),
        commands=(command,) if command else (),
        margins=_margins(ground, tasks, folds, wanted.margins or ()),
    )


def _margins(
    ground: Ground, tasks: Sequence[str], folds: Sequence[int], given: Sequence[str]
) -> dict[str, float]:
    """Return the margin of every task: the default of its metric on these folds, changed by what was asked for."""
    from polytask.training.assemble import make_tasks

    by_fold = [make_tasks(ground.plan.folds[fold], tasks) for fold in folds]
    return read_margins(given, {task: default_margin([made[task] for made in by_fold]) for task in tasks})


def _continued(
    design: Design,
    place: Place,
    ground: Ground,
    wanted: Wanted,
    command: str,
    say: Callable[[str], None],
) -> Design:
    refuse_changes(design, ground.rests(), place.folder, place.work)
    if (
        wanted.margins
        and _margins(ground, list(design.margins), design.folds, wanted.margins) != design.margins
    ):
        has = ", ".join(f"{task}={margin:.3g}" for task, margin in design.margins.items())
        raise PolytaskError(
            f"{place.folder}: --margin {','.join(wanted.margins)}: fixed before the first run (it has {has}); "
            "leave --margin out to go on, or begin another study with -o"
        )
    refuse_other_budget(design, wanted, place.folder)
    arms = design.arms
    if wanted.sharing is not None or wanted.balance is not None or wanted.presets:
        own = dict.fromkeys(a.sharing for a in arms if not a.preset and not a.baseline)
        sharing = wanted.sharing if wanted.sharing is not None else () if wanted.presets else tuple(own)
        arms = _arms(ground, sharing, wanted.balance or ("equal",), wanted.presets, design.tasks)
    new = [arm for arm in arms if arm not in design.arms]
    # `single` is timed again with new arms: only times from the same rounds give a fair ratio.
    beside = [arm for arm in arms if new and arm not in new and (arm.baseline or not design.timed(arm.name))]
    plans = _plans(ground, [*beside, *new], design.tasks, design.changes())
    paces = _timed(ground, plans, design.folds[0], ground.tasks(design.tasks), design.device, say)
    other = {
        **vars(design),
        "arms": arms,
        "folds": ground.folds(wanted.folds) if wanted.folds else design.folds,
        "seeds": tuple(range(wanted.seeds)) if wanted.seeds else design.seeds,
        "paces": paces,
    }
    return design.extended(Design(**other), command)


def _arms(
    ground: Ground,
    sharing: Sequence[str],
    balance: Sequence[str],
    presets: Sequence[str],
    tasks: Sequence[str] | None,
) -> tuple[Arm, ...]:
    from polytask.registries import registry

    return arms_of(sharing, balance, presets, ground.plan, ground.header(tasks), list(registry("sharing")))


def _plans(
    ground: Ground, arms: Sequence[Arm], tasks: Sequence[str] | None, changes: Sequence[str]
) -> dict[str, Plan]:
    """Make the plan of each arm and check that the store was prepared for it."""
    plans = {arm.name: arm.plan(ground.plan, ground.header(tasks), changes) for arm in arms}
    for plan in plans.values():
        check_store(ground.store, ground.cohort, plan)
    return plans


def _timed(
    ground: Ground,
    plans: Mapping[str, Plan],
    fold: int,
    tasks: Sequence[str],
    device: str,
    say: Callable[[str], None],
) -> dict[str, Pace]:
    from polytask.study.probe import WITHOUT_LOOKS, probe
    from polytask.training.freed_memory import give_freed_memory_back

    # Logging gradients costs time in a few steps only; among so few timed steps it would count too much.
    quiet = {arm: set_values(plan, [WITHOUT_LOOKS]) for arm, plan in plans.items()}
    try:
        return probe(ground.work, ground.cohort, quiet, fold, tasks, device, say) if quiet else {}
    finally:
        give_freed_memory_back()  # this process only watches from here on
