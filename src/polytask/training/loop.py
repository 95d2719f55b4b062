"""The training loop: epochs of steps, an evaluation on tune, the best and the last checkpoint.

Read it from top to bottom.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import torch

from polytask.plan.plan_schema import TrainingPlan
from polytask.prepare.batch import Batch
from polytask.prepare.loader import DataWorkerError
from polytask.training.batch_feed import feed_batches
from polytask.training.distributed import World
from polytask.training.gradient_log import SharedSampleCounts
from polytask.training.interrupt import StopSignal, TrainingInterrupted
from polytask.training.lookahead import AffinityMeter
from polytask.training.moving_end import MovingEnd
from polytask.training.run_log import RunLog
from polytask.training.running_means import RunningMeans
from polytask.training.state import FitState
from polytask.training.step import LaunchedStep, PlacedBatch, StepResult, launch_step


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
        affinity_meter: measures the affinities of the tasks now and then, if the plan asks for it.
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
    affinity_meter: AffinityMeter | None = None


def run_training_loop(state: FitState, data: BatchSource, services: FitServices) -> None:
    """Train until the schedule ends, tune no longer improves, or somebody asks to stop."""
    settings, world = services.settings, services.world
    per_epoch, every = settings.steps_per_epoch, settings.accumulation
    while not state.finished:
        epoch, within = divmod(state.step, per_epoch)
        started, begun, stop_number = time.perf_counter(), state.step, 0
        record = EpochRecord(state, services)
        state.network.train()
        micro_batches = feed_batches(data.batches(epoch, within * every), state, world)
        rate = state.schedule.rate(state.step)
        for batches in save_when_readers_die(
            islice(group_batches(micro_batches, every), per_epoch - within), state, services, record.keep
        ):
            rate = state.schedule.rate(state.step)
            # Dropout depends on seed, step and process alone, so that a resumed run draws what it would have
            # drawn.
            torch.manual_seed(stable_hash(services.seed, "step", state.step, world.rank))
            looks_ahead = look_ahead_if_due(batches, rate, services, record)
            record.add(launch_step(state, batches, world, rate, settings.precision, settings.clip))
            if looks_ahead and services.affinity_meter:
                record.read_steps()  # the look is timed beside this step
                services.affinity_meter.plan_next_look()
            update_average(state, settings.ema)
            if services.moving_end and services.moving_end.is_due():
                record.read_steps()  # seconds count when the device has done what they were for
                if services.moving_end.move_end():
                    services.reporter.move_end(state.schedule.end)
            stop_number = agree_on_stop(services.stop_signal, world)
            # At the last step of an epoch the evaluation on tune still belongs to it, so the loop stops
            # further down.
            if state.step >= state.schedule.end:
                break
            if stop_number and state.step % per_epoch:
                record.keep()
                raise TrainingInterrupted(stop_number, state.step)
        record.read_steps()
        ends = state.step >= state.schedule.end
        entry: dict[str, object] = {"epoch": epoch, "rate": rate, **record.summarize()}
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


def look_ahead_if_due(
    batches: Sequence[Batch | PlacedBatch], rate: float, services: FitServices, record: EpochRecord
) -> bool:
    """Measure the affinities of the tasks before the step on these batches, if that is due. Returns whether it was."""
    meter = services.affinity_meter
    if meter is None or not meter.is_due():
        return False
    record.read_steps()  # else their lines would follow, and their time would count
    meter.look_ahead(batches, rate, services.settings.precision, services.settings.clip)
    return True


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
    groups: Iterator[list[Batch | PlacedBatch]],
    state: FitState,
    services: FitServices,
    keep: Callable[[], None],
) -> Iterator[list[Batch | PlacedBatch]]:
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


def group_batches(batches: Iterable[Batch | PlacedBatch], size: int) -> Iterator[list[Batch | PlacedBatch]]:
    """Group the batches into lists of `size`, which one step accumulates."""
    source = iter(batches)
    while group := list(islice(source, size)):
        yield group


def agree_on_stop(stop_signal: StopSignal, world: World) -> int:
    """Return the signal that asked this process, or others alone, to stop; 0 in all processes if none was asked."""
    own = stop_signal.signal
    if world.size == 1:
        return own
    total = world.total(torch.tensor(float(own)))  # in host memory: no device is waited for
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


class EpochRecord:
    """What the steps of an epoch did, for the log, the reporter and the checkpoint.

    Steps are read in their order. The last few may still be under way on a device (`DeviceSpeedups.steps_ahead`).
    """

    def __init__(self, state: FitState, services: FitServices):
        self.state, self.services = state, services
        self.sums, self.norms = RunningMeans(), RunningMeans()
        self.common = SharedSampleCounts(list(state.network.tasks))
        self.under_way: deque[LaunchedStep] = deque()
        if state.epoch_sums:  # saved within this epoch
            self.sums.load(state.epoch_sums["losses"])
            self.norms.load(state.epoch_sums["norms"])
            # Every step is counted in both, so the steps are saved only once.
            self.common.counts, self.common.steps = list(state.epoch_sums["common"]), self.sums.steps

    def add(self, step: LaunchedStep) -> None:
        """Add a step that was launched, and read those that have been under way for long enough."""
        self.under_way.append(step)
        self.read_steps(self.services.world.speedups.steps_ahead)

    def read_steps(self, left: int = 0) -> None:
        """Read the steps under way, all but the last `left`, and report them."""
        while len(self.under_way) > left:
            step = self.under_way.popleft()
            self._report(step.number + 1, step.read())

    def _report(self, number: int, result: StepResult) -> None:
        state, services = self.state, self.services
        self.sums.add(result.losses)
        self.norms.add({NORM_KEY: result.norm})
        self.common.add(result.together)
        services.reporter.step(number, result.losses)
        if services.log and number % max(1, state.schedule.end // LOGGED_STEPS) == 0:
            logged = add_gradient_norm(result.losses, result.norm, state.network.tasks)
            line = {"losses": logged, GRADIENT_NORM_KEY: result.norm}
            services.log.write(number, line, board=False)  # too slow for every step
        if result.gradient_summary and services.log:
            services.log.write(number, {"gradients": result.gradient_summary})
        if result.skip_message:
            services.reporter.say(result.skip_message)
            if services.log:
                services.log.write(number, {"skipped": result.skip_message})

    def keep(self) -> None:
        """Save the state within the epoch."""
        self.read_steps()
        sums, norms = self.sums.as_dict(), self.norms.as_dict()
        self.state.epoch_sums = {"losses": sums, "norms": norms, "common": self.common.counts}
        self.services.keep_last()

    def summarize(self) -> dict[str, object]:
        """Return what the log keeps of the epoch's losses."""
        tasks, norm = self.state.network.tasks, self.norms.means().get(NORM_KEY, float("nan"))
        loss = add_gradient_norm(self.sums.means(), norm, tasks)
        entry = {"loss": loss, GRADIENT_NORM_KEY: norm, "present": self.sums.present(tasks)}
        return entry | ({"common": self.common.shares()} if self.common.pairs else {})
