"""The training loop: epochs of steps, an evaluation on tune, the best and the last checkpoint.

Read it from top to bottom.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from typing import Any, Protocol

import torch

from polytask.plan.plan_schema import TrainingPlan
from polytask.prepare.batch import Batch
from polytask.prepare.loader import DataWorkerError
from polytask.training.distributed import World
from polytask.training.gradient_log import SharedSampleCounts
from polytask.training.interrupt import StopSignal, TrainingInterrupted
from polytask.training.moving_end import MovingEnd
from polytask.training.run_log import RunLog
from polytask.training.state import FitState
from polytask.training.step import take_step


class BatchSource(Protocol):
    """Anything that gives batches, as a pure function of epoch and step."""

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Yield the batches of an epoch from `start_step` on."""


class TrainingReporter(Protocol):
    """Shows the progress of a training: the progress bar of the command line, or nothing."""

    def begin(self, title: str, done: int, total: int) -> None:
        """The fit of a network starts, at step `done` of `total`."""

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """One step of the training is done."""

    def move_end(self, total: int) -> None:
        """The training now has `total` steps, because its time budget allows more or fewer than before."""

    def say(self, text: str) -> None:
        """Show a message that is worth a line."""


LOGGED_STEPS = 200
"""How many steps of a whole training have their losses logged: a short training has a
curve, a long one no endless log."""
NORM_KEY, GRADIENT_NORM_KEY = "norm", "gradient_norm"
"""Names of the gradient's norm in the log: `norm` among the losses, as in all versions, and `gradient_norm` beside
them, where no task can have the same name."""
EvaluateTune = Callable[[], tuple[float, dict[str, dict[str, float]]]]
"""Evaluate on tune → mean skill, metrics by task."""


@dataclass(frozen=True)
class FitServices:
    """What a fit needs besides its state and its data.

    Args:
        finish: learns what is learned after the last step. It runs before the state says that the fit is finished: a
            run killed in between does it again.
        moving_end: moves the end of the schedule when there is a time budget.
    """

    settings: TrainingPlan
    seed: int
    world: World
    tune: EvaluateTune
    keep_best: Callable[[], None]
    keep_last: Callable[[], None]
    finish: Callable[[], None]
    log: RunLog | None
    reporter: TrainingReporter
    stop_signal: StopSignal
    moving_end: MovingEnd | None = None


def run_training_loop(state: FitState, data: BatchSource, services: FitServices) -> None:
    """Train until the schedule ends, tune no longer improves, or somebody asks to stop."""
    settings, world = services.settings, services.world
    per_epoch, every = settings.steps_per_epoch, settings.accumulation
    while not state.finished:
        epoch, within = divmod(state.step, per_epoch)
        started, begun, stop_number = time.perf_counter(), state.step, 0
        sums, norms, common = RunningMeans(), RunningMeans(), SharedSampleCounts(list(state.network.tasks))
        if state.epoch_sums:  # saved within this epoch
            sums.load(state.epoch_sums["losses"])
            norms.load(state.epoch_sums["norms"])
            # Every step is counted in both, so the steps are saved only once.
            common.counts, common.steps = list(state.epoch_sums["common"]), sums.steps
        state.network.train()
        micro_batches = (batch.to(world.device) for batch in data.batches(epoch, within * every))
        rate = state.schedule.rate(state.step)

        # The defaults bind the objects of this epoch; a closure would see those of a later one.
        def keep_within(
            sums: RunningMeans = sums, norms: RunningMeans = norms, common: SharedSampleCounts = common
        ) -> None:
            state.epoch_sums = {"losses": sums.as_dict(), "norms": norms.as_dict(), "common": common.counts}
            services.keep_last()

        for batches in save_when_readers_die(
            islice(group_batches(micro_batches, every), per_epoch - within), state, services, keep_within
        ):
            rate = state.schedule.rate(state.step)
            # Dropout depends on seed, step and process alone, so that a resumed run draws what it would have
            # drawn.
            torch.manual_seed(stable_hash(services.seed, "step", state.step, world.rank))
            result = take_step(state, batches, world, rate, settings.precision, settings.clip)
            update_average(state, settings.ema)
            sums.add(result.losses)
            norms.add({NORM_KEY: result.norm})
            common.add(result.together)
            services.reporter.step(state.step, result.losses)
            if services.log and state.step % max(1, state.schedule.end // LOGGED_STEPS) == 0:
                logged = add_gradient_norm(result.losses, result.norm, state.network.tasks)
                line = {"losses": logged, GRADIENT_NORM_KEY: result.norm}
                services.log.write(state.step, line, board=False)  # too slow for every step
            if result.gradient_summary and services.log:
                services.log.write(state.step, {"gradients": result.gradient_summary})
            if result.skip_message:
                services.reporter.say(result.skip_message)
                if services.log:
                    services.log.write(state.step, {"skipped": result.skip_message})
            if services.moving_end and services.moving_end.move_end():
                services.reporter.move_end(state.schedule.end)
            stop_number = agree_on_stop(services.stop_signal, world)
            # At the last step of an epoch the evaluation on tune still belongs to it, so the loop stops
            # further down.
            if state.step >= state.schedule.end:
                break
            if stop_number and state.step % per_epoch:
                keep_within()
                raise TrainingInterrupted(stop_number, state.step)
        ends = state.step >= state.schedule.end
        norm = norms.means().get(NORM_KEY, float("nan"))
        entry: dict[str, object] = {"epoch": epoch, "rate": rate}
        entry["loss"] = add_gradient_norm(sums.means(), norm, state.network.tasks)
        entry[GRADIENT_NORM_KEY] = norm
        entry["present"] = sums.present(state.network.tasks)
        if common.pairs:
            entry["common"] = common.shares()
        entry["seconds_per_step"] = (time.perf_counter() - started) / max(1, state.step - begun)
        if ends or (epoch + 1) % settings.tune_every == 0:
            entry["tune"] = evaluate_on_tune(state, services, epoch)
            if has_run_out_of_patience(settings.patience, state.stale):
                ends = True
                services.reporter.say(f"stopped early: no better mean skill for {state.stale} evaluations")
        if services.log:
            services.log.write(state.step, entry)
        if ends:
            services.finish()
        state.finished, state.epoch_sums = ends, {}
        services.keep_last()
        if stop_number and not ends:  # at the last step of an epoch: its evaluation on tune belongs to it
            raise TrainingInterrupted(stop_number, state.step)


def evaluate_on_tune(state: FitState, services: FitServices, epoch: int) -> dict[str, object]:
    """Evaluate on tune; the highest mean skill so far becomes the best checkpoint."""
    state.network.eval()
    skill, metrics = services.tune()
    state.network.train()
    if skill > state.best or state.best_epoch < 0:
        state.best, state.best_epoch, state.stale = skill, epoch, 0
        services.keep_best()
    else:
        state.stale += 1
    return {"skill": skill, **metrics}


def has_run_out_of_patience(patience: int, stale: int) -> bool:
    """Whether `stale` evaluations without a better mean skill end the training early. A patience of 0 never does."""
    return 0 < patience <= stale


def save_when_readers_die(
    groups: Iterator[list[Batch]], state: FitState, services: FitServices, keep: Callable[[], None]
) -> Iterator[list[Batch]]:
    """Yield the batches. When the process that reads them dies, the steps so far are saved first."""
    try:
        yield from groups
    except DataWorkerError:
        # Saving waits for all processes, and the others do not know that this one has stopped.
        if services.world.size == 1:
            keep()
        # A signal to all processes ends the data workers too: then this is a requested stop, not a failure.
        if services.stop_signal.signal:
            raise TrainingInterrupted(services.stop_signal.signal, state.step) from None
        raise


def group_batches(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Group the batches into lists of `size`, which one step accumulates."""
    source = iter(batches)
    while group := list(islice(source, size)):
        yield group


def agree_on_stop(stop_signal: StopSignal, world: World) -> int:
    """Return the signal that asked this process, or others alone, to stop; 0 in all processes if none was asked."""
    own = stop_signal.signal
    if world.size == 1:
        return own
    total = world.total(torch.tensor(float(own), device=world.device))
    return own or int(total)


def update_average(state: FitState, decay: float) -> None:
    """Update the exponential moving average of the weights."""
    if decay <= 0:
        return
    weights = state.network.state_dict()
    if state.average is None:
        state.average = {k: v.detach().clone() for k, v in weights.items()}
        return
    for name, value in weights.items():
        state.average[name].lerp_(value, 1 - decay)


def stable_hash(*parts: object) -> int:
    """Hash anything that prints to a 63-bit number. Random numbers are functions of such numbers, not streams."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def add_gradient_norm(losses: Mapping[str, float], norm: float, tasks: Iterable[str]) -> dict[str, float]:
    """Return the losses by task for the log, with the gradient's norm as `norm` unless a task has that name."""
    return dict(losses) if NORM_KEY in tasks else {**losses, NORM_KEY: norm}


class RunningMeans:
    """Running means of the losses that were present."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.counts: dict[str, int] = {}
        self.there: dict[str, int] = {}
        self.steps = 0

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of one step."""
        self.steps += 1
        for name, value in losses.items():
            self.there[name] = self.there.get(name, 0) + 1
            # A loss that is not finite would stay in the sum for ever; its task was there all the same.
            if not isfinite(value):
                continue
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for a checkpoint within an epoch."""
        return vars(self)

    def load(self, saved: Mapping[str, Any]) -> None:
        """Continue from what `as_dict` returned."""
        self.sums, self.counts, self.there = (dict(saved[key]) for key in ("sums", "counts", "there"))
        self.steps = int(saved["steps"])

    def means(self) -> dict[str, float]:
        """Return the mean of each loss by name."""
        return {name: self.sums[name] / self.counts[name] for name in self.sums}

    def present(self, tasks: Iterable[str]) -> dict[str, float]:
        """Return for each task the share of the steps in which it had something to learn from."""
        return {task: self.there.get(task, 0) / max(1, self.steps) for task in tasks}
