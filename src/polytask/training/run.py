"""`train`: turns a planned and prepared work folder into a run, new or resumed."""

from __future__ import annotations

from contextlib import nullcontext
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Any

import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.errors import PolytaskError
from polytask.plan.machine import Machine
from polytask.plan.plan_file import ensure_cohort, ensure_fold
from polytask.plan.plan_schema import Plan
from polytask.prepare.loader import DataWorkerError
from polytask.prepare.store import Store
from polytask.training.cohort_folder import find_cohort_folder
from polytask.training.distributed import World, join_world
from polytask.training.fitting import RunContext, fit_network, run_seed
from polytask.training.folder import Run, has_only_record
from polytask.training.freed_memory import give_freed_memory_back, keep_freed_memory
from polytask.training.interrupt import StopSignal, TrainingInterrupted, catch_stop_signals
from polytask.training.loop import TrainingReporter
from polytask.training.memory_warning import describe_device, describe_memory_excess
from polytask.training.ownership import own_run
from polytask.training.run_plan import make_run_plan, plan_hash
from polytask.training.run_record import make_run_record
from polytask.training.run_request import RunRequest
from polytask.training.run_sizes import fit_run_plan


class SilentReporter:
    """A reporter that shows nothing at all."""

    def begin(self, title: str, done: int, total: int) -> None:
        """Ignore the start of a fit."""

    def step(self, step: int, losses: Any) -> None:
        """Ignore a step that is done."""

    def move_end(self, total: int) -> None:
        """Ignore another number of steps."""

    def say(self, text: str) -> None:
        """Ignore a message for the user."""


def train(work: Path | str, *, reporter: TrainingReporter | None = None, **options: Any) -> Run:
    """Fit one model for all tasks (or with `sharing="single"` one after another for each) and return its run.

    Args:
        work: folder with `plan.yaml`, `splits.json` and `store/`.
        reporter: an object whose `step` is called after every step.
        options: the fields of `RunRequest`, which says what each of them means.

    Raises:
        TypeError: an option is unknown.
        PolytaskError: bad input; nothing was written.
    """
    return train_run(Path(work), RunRequest.from_options(options), reporter)


def _list_options_of_train() -> Signature:
    """Make the signature of `train` with the options by name, for `help` and for completion in notebooks."""
    own = [p for p in signature(train).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    options = [p.replace(kind=Parameter.KEYWORD_ONLY) for p in signature(RunRequest).parameters.values()]
    return Signature([*own, *options], return_annotation="Run")


# The options are spelled in `RunRequest` alone.
train.__dict__["__signature__"] = _list_options_of_train()


def train_run(work: Path, request: RunRequest, reporter: TrainingReporter | None = None) -> Run:
    """Do what a request asks for in a work folder: begin a run, or resume one, and fit all its networks to their end.

    Returns the run, which is complete. For the arguments see `train`.
    """
    with join_world(request.device) as world, catch_stop_signals() as stop_signal:
        resized = ""
        if request.resume:
            folder = Run.read(work / "runs" / request.resume).folder
        else:
            plan = make_run_plan(work, request)
            machine = describe_device(world.device)
            plan, resized = fit_run_plan(work, plan, request, machine, _count_devices(world, machine))
            label = (
                request.name
                or f"{request.preset or plan.shared.model.sharing}-fold{request.fold}-seed{request.seed}"
            )
            record = make_run_record(work, label, plan, request, world.size)
            folder = work / "runs" / label
        # Only the first process locks and writes; the others wait until the folder is there.
        with own_run(folder) if world.chief else nullcontext():
            if world.chief and not request.resume:
                Run.create(folder, record, plan)
            world.wait()
            run = Run.read(folder)
            try:
                reporter = reporter or SilentReporter()
                if resized and world.chief:
                    reporter.say(resized)
                _fit_networks(run, request, world, stop_signal, reporter)
            finally:
                if world.chief and not request.resume:
                    run.remove_if_unstarted()
                give_freed_memory_back()
        return run


def _fit_networks(
    run: Run, request: RunRequest, world: World, stop_signal: StopSignal, reporter: TrainingReporter
) -> None:
    """Fit every network of the run, one after another, each to its end."""
    plan = Plan.read(run.folder)
    if request.workers is not None:
        plan.shared.training.workers = request.workers
    # A new run ends where it was asked to; only one that is resumed has an end to go beyond.
    extend = request.extend if request.resume else 0
    context = _make_run_context(run, plan, world)
    if world.chief and not request.resume:
        machine = describe_device(world.device)
        devices = _count_devices(world, machine)
        if excess := describe_memory_excess(plan, context.cohort.header, run.networks, machine, devices):
            reporter.say(excess)
    try:
        for network in run.networks:
            fit_network(context, network, extend, stop_signal, reporter)
    except TrainingInterrupted as stop:
        raise TrainingInterrupted(stop.number, stop.step, run.folder.name) from None
    except DataWorkerError as died:
        remedy = f"the run is saved, go on with `polytask train {run.work} --resume {run.folder.name}`"
        if has_only_record(run.folder):
            remedy = "run the same command again"
        raise PolytaskError(f"{run.folder}: {died}; {remedy}") from None


def _count_devices(world: World, machine: Machine) -> int:
    """Count the devices that divide the batch of a step among them."""
    return world.size if machine.device == "cuda" else 1


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
