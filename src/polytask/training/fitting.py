"""Handles one network of a run: builds it, restores its state, fits it, and saves what was learned."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from polytask.atomic_files import replace_folder_atomically
from polytask.cohort.cohort import Cohort
from polytask.cohort.header import VoxelSpec
from polytask.cohort.splits import Fold
from polytask.errors import PolytaskError
from polytask.model.building_blocks import NamedModules
from polytask.model.network import Network
from polytask.plan.plan_schema import Plan, TrainingPlan
from polytask.prepare.loader import Loader
from polytask.prepare.store import Store
from polytask.training.assemble import make_network, make_network_spec, make_tasks
from polytask.training.balancing import Balancer
from polytask.training.distributed import World
from polytask.training.folder import Run
from polytask.training.initial_weights import copy_matching_weights
from polytask.training.interrupt import StopSignal
from polytask.training.lookahead import make_affinity_meter
from polytask.training.loop import FitServices, TrainingReporter, run_training_loop, stable_hash
from polytask.training.moving_end import EndEstimate, MovingEnd, read_end_estimates
from polytask.training.run_log import RunLog
from polytask.training.schedule import Schedule
from polytask.training.state import FitState, save_weights, start_momentum
from polytask.training.survival_learning import lacks_learned_survival, learn_survival
from polytask.training.time_budget import find_step_budget
from polytask.training.tune_evaluation import TuneEvaluator

NON_MATRIX_NAMES = re.compile(r"(alpha|query|bias)$")
"""Endings of the names of parameters that have several axes but are no matrix: weight decay leaves them alone."""


@dataclass(frozen=True)
class RunContext:
    """What all networks of a run share.

    Args:
        seed: for weights, order, augmentation and dropout; see `run_seed`.
    """

    run: Run
    plan: Plan
    fold: int
    seed: int
    cohort: Cohort
    parts: Fold
    store: Store
    world: World

    @property
    def plan_hash(self) -> str:
        """The hash that the checkpoints of the run must carry."""
        return str(self.run.record["plan"])


def run_seed(seed: int, fold: int) -> int:
    """Derive the seed of a run from the user's seed and the fold.

    Folds of one seed share no random numbers, so that a study over folds sees as many independent trainings as it has
    runs. Runs of one fold and one seed share all of them, whatever their architecture.
    """
    return seed if fold == 0 else stable_hash(seed, "fold", fold)


def fit_network(
    context: RunContext, name: str, extend: int, stop_signal: StopSignal, reporter: TrainingReporter
) -> None:
    """Fit one network to its end. A finished network is left alone unless it is extended."""
    run, world = context.run, context.world
    state = make_state(context, name)
    saved = run.find_last_checkpoint(name)
    if saved:
        state.load(saved, context.plan_hash)
    if state.finished and not extend:
        # A version that was killed after its last step may not have come this far.
        if world.chief and lacks_learned_survival(context, name):
            learn_survival(context, name)
        world.wait()
        reporter.say(f"{name or run.record['name']}: finished after {state.step} steps")
        return
    loader = Loader(
        context.store,
        context.cohort,
        context.plan,
        context.fold,
        "train",
        context.seed,
        tasks=dict.fromkeys([*run.networks[name], *state.structures.values()]),
        rank=world.rank,
        world=world.size,
    )
    tuning, log = TuneEvaluator(state, context), None
    logged = read_end_estimates(run.folder, name) if world.chief else {}
    try:
        first = None if saved else apply_time_budget(context, state, loader, tuning, logged.get(0))
        settings = context.plan.shared.training.model_copy(update=state.settings)
        if extend:
            state.schedule = state.schedule.extended(extend * settings.steps_per_epoch)
            state.finished, state.stale = False, 0
        log = RunLog(run.folder, state.step, name) if world.chief else None
        moving_end = make_moving_end(context, state, settings, log, logged)
        if moving_end and first:
            moving_end.log_start(first)
        services = FitServices(
            settings=settings,
            seed=context.seed,
            world=world,
            tune=partial(moving_end.time_tune, tuning) if moving_end else tuning,
            keep_best=lambda: _save_best(context, state, name),
            keep_last=lambda: _save_last(context, state, name, moving_end),
            finish=lambda: _learn_after_fit(context, name),
            log=log,
            reporter=reporter,
            stop_signal=stop_signal,
            moving_end=moving_end,
            affinity_meter=make_affinity_meter(
                settings.balance.affinity, state, world, log, run.folder, name
            ),
        )
        # Saved before the first step, so that a run killed in its first epoch can be resumed.
        services.keep_last()
        reporter.begin(name or str(run.record["name"]), state.step, state.schedule.end)
        run_training_loop(state, loader, services)
    finally:
        loader.close()
        if log:
            log.close()


def make_state(context: RunContext, name: str) -> FitState:
    """Build network, criteria and optimizer at step 0, as a function of plan and seed."""
    run, plan = context.run, context.plan
    fold, header = plan.folds[context.fold], context.cohort.header
    tasks = make_tasks(fold, run.networks[name])
    network = make_network(make_network_spec(plan, fold, header), tasks, stable_hash(context.seed, "weights"))
    if run.record["init"] and run.find_last_checkpoint(name) is None:
        copy_matching_weights(network, Path(str(run.record["init"])))
    place_network(network, context.world)
    if plan.shared.training.compile:
        # Loads the compiler, which few runs need.
        from polytask.training.compiled_network import compile_network

        compile_network(network, context.world.device)
    criteria = NamedModules({n: t.criterion() for n, t in tasks.items()}).to(context.world.device)
    settings = plan.shared.training
    steps = int(run.record["steps"] or settings.epochs * settings.steps_per_epoch)
    judging_masks = {
        n: spec.judging_masks
        for n, t in tasks.items()
        if getattr(t, "dvh", 0.0) > 0
        and isinstance(spec := header.tasks[n], VoxelSpec)
        and spec.judging_masks
    }
    optimizer = make_optimizer(network, settings, context.world.speedups.fused_optimizer)
    balancer = Balancer.of(network, settings, stable_hash(context.seed, "balance"))
    refuse_endless_warmup(balancer, settings, steps)
    return FitState(network, optimizer, criteria, balancer, Schedule.of(settings, steps), judging_masks)


def refuse_endless_warmup(balancer: Balancer, settings: TrainingPlan, steps: int) -> None:
    """Raise an error when the balancing rule would begin only after the last of `steps`.

    A single task is not balanced, so there the rule does not matter.
    """
    warmup = getattr(balancer.rule, "warmup", 0) * settings.steps_per_epoch
    if len(balancer.tasks) > 1 and warmup >= steps:
        raise PolytaskError(
            f"training.balance: {settings.balance.rule!r} begins after a warm-up of {warmup} steps, and the run has "
            f"{steps}; train longer, or set training.balance.options={{warmup: 1}}"
        )


def place_network(network: Network, world: World) -> None:
    """Put a network on the device of a training, its convolutions with the channels as the last axis if the levers of
    `world` say so. A checkpoint does not depend on that layout."""
    network.to(world.device)
    if world.speedups.channels_last:
        for module in network.modules():
            if isinstance(module, torch.nn.Conv2d | torch.nn.Conv3d):
                deep = isinstance(module, torch.nn.Conv3d)
                layout = torch.channels_last_3d if deep else torch.channels_last
                module.weight.data = module.weight.data.contiguous(memory_format=layout)


def make_optimizer(network: Network, settings: TrainingPlan, fused: bool = False) -> torch.optim.Optimizer:
    """Build the optimizer that the plan names. With `fused`, SGD too updates all its weights in one kernel.

    Weight decay applies to matrices and kernels only, not to biases, queries and shares, whatever their shape. The
    `factor` of a group multiplies its learning rate.
    """
    rates = network.rates()
    kinds: dict[tuple[bool, float], list[torch.nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        decays = parameter.dim() > 1 and not NON_MATRIX_NAMES.search(name)
        kinds.setdefault((decays, rates.get(name, 1.0)), []).append(parameter)
    groups = [
        {"params": parameters, "weight_decay": settings.weight_decay if decays else 0.0, "factor": factor}
        # A checkpoint names optimizer state by position, so the order of the groups must not depend on which
        # kind of parameter a network has first.
        for (decays, factor), parameters in sorted(kinds.items(), key=lambda item: item[0], reverse=True)
    ]
    if settings.optimizer == "sgd":
        sgd = torch.optim.SGD(groups, lr=settings.rate, momentum=0.99, nesterov=True, fused=fused or None)
        start_momentum(sgd)
        return sgd
    return torch.optim.AdamW(groups, lr=settings.rate, fused=True)


def apply_time_budget(
    context: RunContext, state: FitState, loader: Loader, tuning: TuneEvaluator, logged: EndEstimate | None
) -> EndEstimate | None:
    """Give the state the schedule and the settings that fit into the run's time budget, if it has one.

    Returns the estimate that they are made of, or None without a budget.

    Args:
        logged: the first estimate of the log; it counts instead of a new one. Only the first process needs it.
    """
    budget = find_network_seconds(context)
    if not budget:
        return None
    planned, share = context.plan.shared.training, context.world.share_number
    end, tune_every = share(logged.end if logged else 0), share(logged.tune_every if logged else 0)
    if end:
        first = logged or EndEstimate(end, tune_every, 0.0, 0.0, 0.0)
    else:
        first = find_step_budget(budget / 60, state, loader.batches(0), tuning, planned, context.world)
    state.schedule = Schedule.of(planned, first.end)
    state.settings = {"tune_every": first.tune_every}
    state.pace = {"spent": first.spent, "per_step": first.per_step, "per_tune": first.per_tune}
    return first


def find_network_seconds(context: RunContext) -> float:
    """Find how many seconds each network of the run may train; 0 when the number of steps is fixed.

    Several networks share the time evenly.
    """
    record = context.run.record
    if record["steps"] or not record["minutes"]:
        return 0.0
    return float(record["minutes"]) * 60 / len(context.run.networks)


def make_moving_end(
    context: RunContext,
    state: FitState,
    settings: TrainingPlan,
    log: RunLog | None,
    logged: Mapping[int, EndEstimate],
) -> MovingEnd | None:
    """Make what moves the end of a network's training.

    Returns None where the end is fixed: without a time budget, in a run that `--extend` made longer, and in one of an
    earlier version, which did not note the time that it had spent.
    """
    seconds = find_network_seconds(context)
    if not seconds or not state.pace or state.schedule.start > 0:
        return None
    return MovingEnd(seconds, state, settings, context.world, log, logged)


def _learn_after_fit(context: RunContext, name: str) -> None:
    if context.world.chief:
        learn_survival(context, name)
    context.world.wait()


def _save_best(context: RunContext, state: FitState, name: str) -> None:
    if context.world.chief:
        folder = context.run.best(name)
        weights = state.average or state.network.state_dict()
        replace_folder_atomically(folder, lambda new: save_weights(new, weights))


def _save_last(context: RunContext, state: FitState, name: str, moving_end: MovingEnd | None) -> None:
    if moving_end:
        moving_end.count_time()
    if context.world.chief:
        try:
            replace_folder_atomically(context.run.last(name), lambda new: state.save(new, context.plan_hash))
        except OSError as error:
            raise PolytaskError(
                f"{context.run.last(name)}: cannot write the checkpoint ({error.strerror}); free some space, then "
                f"`polytask train {context.run.work} --resume {context.run.folder.name}`"
            ) from None
    context.world.wait()
