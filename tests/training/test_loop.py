"""Parts of the loop that need no training: averages of weights, and the losses in the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from polytask.plan.plan_schema import BalancePlan
from polytask.prepare.batch import Batch
from polytask.prepare.loader import DataWorkerError
from polytask.training.device_speedups import NO_SPEEDUPS, DeviceSpeedups
from polytask.training.fitting import make_optimizer
from polytask.training.interrupt import StopSignal, TrainingInterrupted
from polytask.training.loop import (
    FitServices,
    add_gradient_norm,
    agree_on_stop,
    evaluate_on_tune,
    group_batches,
    has_run_out_of_patience,
    run_training_loop,
    save_when_readers_die,
    stable_hash,
    update_average,
)
from polytask.training.schedule import Schedule
from polytask.training.step import launch_step
from tests.training.worlds import ALONE, batch_of, settings_of, state_of

ALL = [[True, True]] * 3
NONE = [[False, False]] * 3


def test_the_average_keeps_as_much_of_itself_as_the_decay_says() -> None:
    """0.9 of what it was and 0.1 of the new weights; from the first weights on, and apart from them."""
    network = torch.nn.Linear(1, 1, bias=False)
    state: Any = SimpleNamespace(network=network, average=None)
    seen = []
    for value in (1.0, 2.0, 4.0):
        torch.nn.init.constant_(network.weight, value)
        update_average(state, 0.9)
        seen.append(state.average["weight"].item())
    assert seen == pytest.approx([1.0, 0.9 * 1 + 0.1 * 2, 0.9 * 1.1 + 0.1 * 4])
    assert network.weight.item() == 4.0


def test_without_a_decay_there_is_no_average() -> None:
    state: Any = SimpleNamespace(network=torch.nn.Linear(1, 1), average=None)
    update_average(state, 0.0)
    assert state.average is None


def test_a_task_called_norm_keeps_its_loss() -> None:
    assert add_gradient_norm({"grade": 0.5}, 7.0, ["grade"]) == {"grade": 0.5, "norm": 7.0}
    assert add_gradient_norm({"norm": 0.5}, 7.0, ["norm"]) == {"norm": 0.5}
    assert add_gradient_norm({"grade": 0.5}, 7.0, ["grade", "norm"]) == {"grade": 0.5}, (
        "in an epoch without it"
    )


def test_patience_counts_evaluations_and_0_is_endless() -> None:
    ended = {(p, s): has_run_out_of_patience(p, s) for p in (0, 1, 3) for s in range(4)}
    assert [pair for pair, yes in ended.items() if yes] == [(1, 1), (1, 2), (1, 3), (3, 3)]


def test_only_a_higher_skill_on_tune_is_a_better_checkpoint() -> None:
    kept: list[int] = []
    skills = iter([-2.0, -2.0, 0.5, 0.4, 0.6])
    state: Any = SimpleNamespace(network=torch.nn.Linear(1, 1), best=-float("inf"), best_epoch=-1, stale=0)
    stale = []
    for epoch in range(5):
        around: Any = SimpleNamespace(
            tune=lambda: (next(skills), {}), keep_best=lambda e=epoch: kept.append(e)
        )
        evaluate_on_tune(state, around, epoch)
        stale.append(state.stale)
    assert kept == [0, 2, 4]
    assert stale == [0, 1, 0, 1, 0]
    assert (state.best, state.best_epoch) == (0.6, 4)
    assert state.network.training


def test_a_skill_that_no_task_defines_still_leaves_a_checkpoint() -> None:
    kept = []
    state: Any = SimpleNamespace(network=torch.nn.Linear(1, 1), best=-float("inf"), best_epoch=-1, stale=0)
    around: Any = SimpleNamespace(tune=lambda: (float("nan"), {}), keep_best=lambda: kept.append(1))
    evaluate_on_tune(state, around, 0)
    assert kept == [1]


def test_batches_are_accumulated_in_groups_and_the_last_may_be_short() -> None:
    batches: Any = range(5)
    assert list(group_batches(batches, 2)) == [[0, 1], [2, 3], [4]]


def test_all_processes_stop_where_one_was_asked_to() -> None:
    """Stands for a second process that was asked with signal 15: sums over both hold it."""

    class Asking:
        size, device = 2, torch.device("cpu")

        def total(self, value: torch.Tensor) -> torch.Tensor:
            return value + 15

    both: Any = Asking()
    asked = StopSignal()
    assert agree_on_stop(asked, both) == 15
    assert asked.signal == 0, "this process itself was not asked"
    asked.signal = 2
    assert agree_on_stop(asked, both) == 2


def test_a_process_alone_asks_nobody() -> None:
    asked = StopSignal()
    alone: Any = SimpleNamespace(size=1)
    assert agree_on_stop(asked, alone) == 0
    asked.signal = 2
    assert agree_on_stop(asked, alone) == 2


class Lines:
    """Stands where a log stands."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, dict[str, Any], bool]] = []

    def write(self, step: int, entry: dict[str, Any], board: bool = True) -> None:
        self.lines.append((step, dict(entry), board))

    def find(self, key: str) -> list[tuple[int, Any]]:
        return [(step, entry[key]) for step, entry, _ in self.lines if key in entry]


class Watcher:
    """Stands where a progress bar stands."""

    def __init__(self) -> None:
        self.steps: list[int] = []
        self.said: list[str] = []

    def begin(self, title: str, done: int, total: int) -> None:
        pass

    def move_end(self, total: int) -> None:
        self.said.append(f"ends after {total} steps")

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        self.steps.append(step)

    def say(self, text: str) -> None:
        self.said.append(text)


class Data:
    """Two kinds of batches in turns, from any step of an epoch on."""

    def __init__(self, per_epoch: int) -> None:
        self.per_epoch = per_epoch
        self.asked: list[tuple[int, int]] = []

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        self.asked.append((epoch, start_step))
        for k in range(start_step, self.per_epoch):
            yield batch_of({"grade": ALL, "type": ALL if k % 2 == 0 else NONE}, seed=k)


class World:
    """A short training without a plan: 2 epochs of 4 steps."""

    def __init__(self, skills: Sequence[float] = (0.1, 0.2, 0.3, 0.4), **changes: Any) -> None:
        self.settings = settings_of(**changes)
        self.state = state_of(settings=self.settings)
        self.log, self.watcher, self.asked = Lines(), Watcher(), StopSignal()
        self.data = Data(self.settings.steps_per_epoch * self.settings.accumulation)
        self.skills = iter(skills)
        self.kept: list[tuple[str, int]] = []
        self.alone = ALONE

    def run(self) -> None:
        def keep(what: str) -> None:
            self.kept.append((what, self.state.step))

        around = FitServices(
            settings=self.settings,
            seed=0,
            world=self.alone,
            tune=lambda: (next(self.skills), {"grade": {"kappa": 0.5}}),
            keep_best=lambda: keep("best"),
            keep_last=lambda: keep("last"),
            finish=lambda: keep("finish"),
            log=self.log,  # type: ignore[arg-type]
            reporter=self.watcher,
            stop_signal=self.asked,
        )
        run_training_loop(self.state, self.data, around)


def test_every_epoch_has_its_line_and_its_checkpoint() -> None:
    world = World()
    world.run()
    state = world.state
    assert (state.step, state.finished, state.best, state.best_epoch) == (8, True, 0.2, 1)
    assert world.watcher.steps == list(range(1, 9))
    assert world.data.asked == [(0, 0), (1, 0)]
    assert world.kept == [("best", 4), ("last", 4), ("best", 8), ("finish", 8), ("last", 8)]
    lines = [entry for _, entry, _ in world.log.lines if "epoch" in entry]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert lines[0]["present"] == {"grade": 1.0, "type": 0.5}
    assert lines[0]["common"] == {"grade type": 0.5}
    assert lines[0]["tune"] == {"skill": 0.1, "grade": {"kappa": 0.5}}
    assert lines[0]["rate"] == state.schedule.rate(3)
    assert lines[0]["seconds_per_step"] > 0
    curve = world.log.find("losses")
    assert [step for step, _ in curve] == list(range(1, 9))
    first = [losses for _, losses in curve[:4]]
    assert lines[0]["loss"]["grade"] == pytest.approx(np.mean([losses["grade"] for losses in first]))
    assert lines[0]["loss"]["type"] == pytest.approx(
        np.mean([losses["type"] for losses in first if "type" in losses])
    )
    assert (
        lines[0]["gradient_norm"]
        == lines[0]["loss"]["norm"]
        == pytest.approx(np.mean([x["norm"] for x in first]))
    )
    assert not any(board for _, entry, board in world.log.lines if "losses" in entry)
    assert state.epoch_sums == {}


def test_tune_is_looked_at_now_and_then_and_at_the_end() -> None:
    world = World(epochs=5, steps_per_epoch=1, tune_every=2)
    world.run()
    assert [step for step, _ in world.log.find("tune")] == [2, 4, 5]


def test_patience_ends_a_training_early() -> None:
    world = World(skills=(0.5, 0.4, 0.5, 0.9), epochs=6, steps_per_epoch=1, patience=2)
    world.run()
    assert (world.state.step, world.state.finished, world.state.stale) == (3, True, 2)
    assert world.watcher.said == ["stopped early: no better mean skill for 2 evaluations"]
    assert world.kept[-2:] == [("finish", 3), ("last", 3)]


def test_a_step_takes_several_batches_where_they_are_accumulated() -> None:
    world = World(accumulation=2, epochs=1)
    world.run()
    assert world.state.step == 4
    (line,) = [entry for _, entry, _ in world.log.lines if "epoch" in entry]
    assert line["present"] == {"grade": 1.0, "type": 1.0}


def test_a_cut_training_goes_on_as_if_nothing_had_happened() -> None:
    whole, cut = World(), World()
    whole.run()
    tell = cut.watcher.step

    def step(step: int, losses: Mapping[str, float]) -> None:
        tell(step, losses)
        cut.asked.signal = 15 if step == 2 else 0

    cut.watcher.step = step  # type: ignore[method-assign]
    with pytest.raises(TrainingInterrupted, match="after step 2"):
        cut.run()
    assert cut.kept == [("last", 2)]
    assert cut.state.epoch_sums["common"] == [1]
    cut.asked.signal = 0
    cut.run()
    assert cut.data.asked == [(0, 0), (0, 2), (1, 0)]
    for key in ("loss", "present", "common"):
        assert cut.log.find(key) == whole.log.find(key)


def test_who_is_stopped_at_the_end_of_an_epoch_has_looked_at_tune() -> None:
    world = World()
    world.watcher.step = lambda step, losses: setattr(world.asked, "signal", 2 if step == 4 else 0)  # type: ignore[method-assign]
    with pytest.raises(TrainingInterrupted, match="after step 4"):
        world.run()
    assert world.kept == [("best", 4), ("last", 4)]
    world = World(epochs=1)
    world.watcher.step = lambda step, losses: setattr(world.asked, "signal", 2 if step == 4 else 0)  # type: ignore[method-assign]
    world.run()
    assert world.state.finished, "the last step needs no interruption"


def test_a_skipped_step_is_told_and_logged() -> None:
    world = World(epochs=1, steps_per_epoch=1)
    batches = list(world.data.batches(0))
    sick = replace(
        batches[0], tables={k: torch.full_like(v, float("nan")) for k, v in batches[0].tables.items()}
    )
    world.data.batches = lambda epoch, start_step=0: iter([sick])  # type: ignore[method-assign]
    world.run()
    assert len(world.watcher.said) == 1
    assert world.watcher.said[0].startswith("step 0: loss of grade, type is not finite")
    assert world.log.find("skipped") == [(1, world.watcher.said[0])]


def make_sick(batch: Batch) -> Batch:
    return replace(batch, tables={k: torch.full_like(v, float("nan")) for k, v in batch.tables.items()})


def run_levers(levers: DeviceSpeedups, sick: Sequence[int], stop_after: int = 0, **changes: Any) -> World:
    """A training whose batches with these numbers are not finite; it may be stopped and resumed once."""
    world = World(epochs=2, ema=0.5, clip=0.1, **changes)
    world.alone = replace(ALONE, speedups=levers)
    if world.settings.optimizer == "sgd" and levers.fused_optimizer:
        world.state.optimizer = make_optimizer(world.state.network, world.settings, fused=True)
    well = world.data.batches

    def batches(epoch: int, start_step: int = 0) -> Iterator[Batch]:
        for number, batch in enumerate(well(epoch, start_step), start_step):
            if stop_after and (epoch, number) == (0, stop_after * world.settings.accumulation - 1):
                world.asked.signal = 15  # asked for while this batch is read
            yield make_sick(batch) if number in sick else batch

    world.data.batches = batches  # type: ignore[method-assign]
    if stop_after:
        with pytest.raises(TrainingInterrupted, match=f"after step {stop_after}"):
            world.run()
        world.asked.signal = 0
    world.run()
    return world


@pytest.mark.parametrize(
    ("optimizer", "accumulation", "sick", "stop_after"),
    [("adamw", 1, (1, 2), 0), ("adamw", 2, (0,), 2), ("sgd", 1, (0, 3), 0)],
)
def test_steps_under_way_end_in_the_same_weights_and_the_same_log(
    optimizer: str, accumulation: int, sick: Sequence[int], stop_after: int
) -> None:
    """The device skips steps by itself: neither weights nor moments nor counters of the optimizer move."""
    changes: dict[str, Any] = {"optimizer": optimizer, "accumulation": accumulation}
    waiting = run_levers(NO_SPEEDUPS, sick, stop_after, **changes)
    ahead = run_levers(DeviceSpeedups(False, False, True, 3), sick, stop_after, **changes)
    assert waiting.state.skipped == ahead.state.skipped == 2 * len(sick)
    assert waiting.state.in_a_row == ahead.state.in_a_row
    for name, weight in waiting.state.network.state_dict().items():
        torch.testing.assert_close(ahead.state.network.state_dict()[name], weight, rtol=1e-6, atol=1e-7)
    for parameter, twin in zip(
        waiting.state.network.parameters(), ahead.state.network.parameters(), strict=True
    ):
        own, other = waiting.state.optimizer.state.get(parameter), ahead.state.optimizer.state[twin]
        for name, value in (own or {}).items():
            torch.testing.assert_close(other[name], value, rtol=1e-5, atol=1e-7)
    for key in ("losses", "skipped", "loss", "present", "common"):
        assert [step for step, _ in ahead.log.find(key)] == [step for step, _ in waiting.log.find(key)]
    assert ahead.log.find("skipped") == waiting.log.find("skipped")
    assert ahead.kept == waiting.kept


def test_a_step_is_read_when_enough_others_have_been_launched() -> None:
    world = World(epochs=1)
    world.alone = replace(ALONE, speedups=DeviceSpeedups(steps_ahead=2))
    told: list[tuple[int, int]] = []
    world.watcher.step = lambda step, losses: told.append((step, world.state.step))  # type: ignore[method-assign]
    world.run()
    assert told == [(1, 3), (2, 4), (3, 4), (4, 4)], "the last ones before the evaluation on tune"


def test_a_rule_that_reads_losses_has_no_steps_under_way() -> None:
    world = World(epochs=1, balance=BalancePlan(rule="uncertainty", log_every=0))
    world.alone = replace(ALONE, speedups=DeviceSpeedups(steps_ahead=2))
    launched: list[bool] = []
    world.watcher.step = lambda step, losses: None  # type: ignore[method-assign]
    step = launch_step(world.state, list(world.data.batches(0))[:1], world.alone, 1e-3, "float32", 0.0)
    launched.append(step.result is None)
    plain = World(epochs=1)
    step = launch_step(plain.state, list(plain.data.batches(0))[:1], world.alone, 1e-3, "float32", 0.0)
    launched.append(step.result is None)
    assert launched == [False, True]


def test_a_look_at_the_gradients_is_logged_when_there_is_one() -> None:
    world = World(balance=BalancePlan(rule="equal", log_every=3))
    world.run()
    assert [step for step, _ in world.log.find("gradients")] == [1, 4, 7]


def test_readers_that_die_leave_a_saved_run() -> None:
    def die() -> Iterator[list[Batch]]:
        raise DataWorkerError("died")
        yield []

    kept: list[int] = []
    around: Any = SimpleNamespace(world=SimpleNamespace(size=1), stop_signal=StopSignal())
    state: Any = SimpleNamespace(step=3)
    with pytest.raises(DataWorkerError):
        list(save_when_readers_die(die(), state, around, lambda: kept.append(1)))
    assert kept == [1]
    around.stop_signal.signal = 15
    with pytest.raises(TrainingInterrupted, match="after step 3"):
        list(save_when_readers_die(die(), state, around, lambda: kept.append(1)))
    several: Any = SimpleNamespace(world=SimpleNamespace(size=2), stop_signal=StopSignal())
    with pytest.raises(DataWorkerError):
        list(save_when_readers_die(die(), state, several, lambda: kept.append(1)))
    assert kept == [1, 1]


def test_a_number_is_a_function_of_its_parts() -> None:
    digest = hashlib.sha256(b"3/step/7").digest()
    assert stable_hash(3, "step", 7) == int.from_bytes(digest[:8], "little") // 2
    assert 0 <= stable_hash("anything") < 2**63


@pytest.mark.parametrize(("steps", "logged"), [(399, [1, 2, 3, 4]), (400, [2, 4]), (800, [4])])
def test_a_long_training_logs_two_hundred_points(steps: int, logged: list[int]) -> None:
    world = World()
    world.state.schedule = Schedule("cosine", 1e-3, 0, 0, steps)
    world.watcher.step = lambda step, losses: setattr(world.asked, "signal", 2 if step == 4 else 0)  # type: ignore[method-assign]
    with pytest.raises(TrainingInterrupted):
        world.run()
    assert [step for step, _ in world.log.find("losses")] == logged
