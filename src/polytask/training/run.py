"""`train`: turns a planned and prepared work folder into a run, new or resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.errors import PolytaskError
from polytask.plan.plan_file import ensure_cohort, ensure_fold, read_plan
from polytask.plan.plan_schema import Plan
from polytask.prepare.loader import DataWorkerError
from polytask.prepare.store import Store
from polytask.training.distributed import World, join_world
from polytask.training.fitting import RunContext, fit_network, run_seed
from polytask.training.folder import Run, has_only_record
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory
from polytask.training.interrupt import StopSignal, TrainingInterrupted, catch_stop_signals
from polytask.training.loop import TrainingReporter
from polytask.training.ownership import own_run
from polytask.training.run_plan import find_cohort_folder, make_run_plan, plan_hash
from polytask.training.run_record import make_run_record


class SilentReporter:
    """A reporter that shows nothing at all."""

    def begin(self, title: str, done: int, total: int) -> None:
        """Ignore the start of a fit."""

    def step(self, step: int, losses: Any) -> None:
        """Ignore a step that is done."""

    def say(self, text: str) -> None:
        """Ignore a message for the user."""


def train(
    work: Path | str,
    *,
    fold: int = 0,
    seed: int = 0,
    preset: str | None = None,
    sharing: str | None = None,
    visit_fusion: str | None = None,
    input_fusion: str | None = None,
    balance: str | None = None,
    cut: str | None = None,
    after: Mapping[str, Sequence[str]] | None = None,
    name: str | None = None,
    tasks: Sequence[str] | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    match: str | None = None,
    init: Path | str | None = None,
    overrides: Sequence[str] = (),
    resume: str | None = None,
    extend: int = 0,
    workers: int | None = None,
    device: str | None = None,
    reporter: TrainingReporter | None = None,
) -> Run:
    """Fit one model for all tasks (or with `sharing="single"` one after another for each) and return its run.

    Args:
        work: folder with `plan.yaml`, `splits.json` and `store/`.
        fold: which fold of the plan. seed: of weights, order, augmentation and dropout.
        preset: a published system, see `plan.presets`; what follows overrides parts of it.
        sharing, visit_fusion, input_fusion, balance: members of these registries; the plan's by default.
        cut: where a balancing rule takes gradients, `features` or `parameters`.
        after: task → tasks whose answers it reads.
        name: of the run; `PRESET-foldF-seedS` by default, or `SHARING-foldF-seedS` without a preset.
        tasks: only these.
        minutes: a time budget, turned into a number of steps before the first step.
        steps: of every network, instead of the plan's epochs.
        match: name of a run whose number of steps is taken over (a fair baseline).
        init: a run or model folder whose weights, where names and shapes agree, are the start.
        overrides: `training.epochs=4` and the like.
        resume: name of a run to go on with; of the rest only `extend`, `workers` and `device` count then.
        extend: epochs to add behind the planned end (with `resume`).
        workers: data processes; the plan's by default. Does not change the result.
    """
    work = Path(work)
    with join_world(device) as world, catch_stop_signals() as asked:
        if resume:
            folder = Run.read(work / "runs" / resume).folder
        else:
            fusions = {"visit_fusion": visit_fusion, "input_fusion": input_fusion}
            named = {"sharing": sharing, **fusions, "balance": balance, "cut": cut}
            plan = make_run_plan(work, preset, tasks, named, after or {}, overrides)
            label = name or f"{preset or plan.shared.model.sharing}-fold{fold}-seed{seed}"
            budget = minutes, steps, match
            record = make_run_record(work, label, plan, fold, seed, tasks, budget, init, world.size)
            folder = work / "runs" / label
        # Only the first process locks and writes; the others wait until the folder is there.
        with own_run(folder) if world.chief else nullcontext():
            if world.chief and not resume:
                Run.create(folder, record, plan)
            world.wait()
            run = Run.read(folder)
            try:
                _fit_networks(
                    run, extend if resume else 0, workers, world, asked, reporter or SilentReporter()
                )
            finally:
                if world.chief and not resume:
                    run.remove_if_unstarted()
                give_freed_memory_back()
        return run


def _fit_networks(
    run: Run, extend: int, workers: int | None, world: World, asked: StopSignal, reporter: TrainingReporter
) -> None:
    """Fit every network of the run, one after another, each to its end."""
    plan = read_plan(run.folder)
    if workers is not None:
        plan.shared.training.workers = workers
    context = _make_run_context(run, plan, world)
    try:
        for network in run.networks:
            fit_network(context, network, extend, asked, reporter)
    except TrainingInterrupted as stop:
        stop.run = run.folder.name
        raise
    except DataWorkerError as died:
        again = f"the run is saved, go on with `polytask train {run.work} --resume {run.folder.name}`"
        if has_only_record(run.folder):
            again = "run the same command again"
        raise PolytaskError(f"{run.folder}: {died}; {again}") from None


def _make_run_context(run: Run, plan: Plan, world: World) -> RunContext:
    """Check that nothing has changed since the run began, and make what all its networks share."""
    fold = int(run.record["fold"])
    ensure_fold(plan, fold, run.folder)
    if run.record["plan"] != plan_hash(plan, fold):
        raise PolytaskError(
            f"{run.folder}: its plan.yaml has changed since the run began, so its checkpoint is of another plan; "
            "restore plan.yaml, or start a new run from these weights with --init"
        )
    store = Store(run.work / "store")
    if store.content != run.record["store"]:
        raise PolytaskError(f"{store.folder}: the store has changed since the run began; start a new run")
    cohort = Cohort.read(find_run_cohort_folder(run, plan))
    ensure_cohort(plan, cohort)
    parts = read_fold(run.work / "splits.json", fold, cohort)
    settings = plan.shared.training
    # The plan's threads are those of the whole training, however many processes share them.
    torch.set_num_threads(max(1, settings.threads // world.size))
    keep_freed_memory()
    if world.device.type == "cuda":
        # Otherwise cuDNN may pick algorithms whose sums differ from run to run, and a resumed run would too.
        torch.backends.cudnn.deterministic = True
    return RunContext(run, plan, fold, run_seed(int(run.record["seed"]), fold), cohort, parts, store, world)


def find_run_cohort_folder(run: Run, plan: Plan) -> Path:
    """Find the folder of the cohort that a run learns from."""
    return find_cohort_folder(run.work, plan, run.folder)
