"""A training with a time budget ends when the budget does, on a clock that the steps move by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from polytask.plan.plan_schema import TrainingPlan
from polytask.prepare.batch import Batch
from polytask.training.distributed import World
from polytask.training.interrupt import StopSignal, TrainingInterrupted
from polytask.training.loop import FitServices, run_training_loop
from polytask.training.moving_end import EndEstimate, MovingEnd, find_affordable_end, read_end_estimates
from polytask.training.run import SilentReporter
from polytask.training.run_log import RunLog
from polytask.training.schedule import Schedule
from tests.training.worlds import ALONE, batch_of, settings_of, state_of

FIRST = EndEstimate(400, 1, 10.0, 1.0, 2.0)
"""A budget of 490 s, seen by who thinks that a step takes 1 s."""
BUDGET = 490.0


class Machine:
    """A clock that each step and each evaluation on tune moves on; `slowness` says how long a step takes."""

    def __init__(self, slowness: Callable[[float], float], now: float = 0.0) -> None:
        self.slowness, self.now = slowness, now

    def read_clock(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds * self.slowness(self.now)


class Pretense(SilentReporter):
    """Takes the time of a step, and stops the training at one."""

    def __init__(self, machine: Machine, stop: StopSignal, stop_at: int = -1) -> None:
        self.machine, self.stop, self.stop_at = machine, stop, stop_at

    def step(self, step: int, losses: Any) -> None:
        self.machine.work(1.0)
        self.stop.signal = 15 if step == self.stop_at else 0


def make_moving_end(
    machine: Machine, settings: TrainingPlan, folder: Path | None = None, world: World = ALONE
) -> MovingEnd:
    state = state_of(settings=settings)
    state.schedule = Schedule.of(settings, FIRST.end)
    state.pace = {"spent": FIRST.spent, "per_step": FIRST.per_step, "per_tune": FIRST.per_tune}
    log = None if folder is None else RunLog(folder, 0)
    logged = {} if folder is None else read_end_estimates(folder, "")
    return MovingEnd(BUDGET, state, settings, world, log, logged, machine.read_clock)


def skip_steps(moving_end: MovingEnd, machine: Machine) -> tuple[int, float]:
    """Train without a network; returns the steps done and the seconds spent."""
    state, settings = moving_end.state, moving_end.settings
    while state.step < state.schedule.end:
        state.step += 1
        machine.work(1.0)
        moving_end.move_end()
        ends = state.step >= state.schedule.end
        if ends or state.step % (settings.steps_per_epoch * settings.tune_every) == 0:
            moving_end.time_tune(lambda: machine.work(2.0))
    return state.step, FIRST.spent + machine.now


LOADS: dict[str, Callable[[float], float]] = {
    "as measured at the start": lambda now: 1.0,
    "measured in a busy moment": lambda now: 0.7,
    "measured in a quiet moment": lambda now: 3.0,
    "busy from the middle on": lambda now: 1.0 if now < 240 else 3.0,
    "quiet from the middle on": lambda now: 3.0 if now < 240 else 1.0,
    "busy shortly before the end": lambda now: 1.0 if now < 450 else 3.0,
    "quiet shortly before the end": lambda now: 3.0 if now < 450 else 1.0,
    "busy every other minute": lambda now: 1.0 if now % 120 < 60 else 2.0,
    "one step of half a minute near the end": lambda now: 30.0 if 400 <= now < 401 else 1.0,
}


@pytest.mark.parametrize("load", list(LOADS))
@pytest.mark.parametrize("per_epoch", [1, 8, 64, 1000])
def test_it_ends_within_five_percent_of_the_budget(load: str, per_epoch: int) -> None:
    machine = Machine(LOADS[load])
    # Tune takes 2 s; in a plan it takes at most 15 % of the time.
    settings = settings_of(steps_per_epoch=per_epoch, tune_every=max(1, 32 // per_epoch))
    steps, seconds = skip_steps(make_moving_end(machine, settings), machine)
    assert BUDGET * 0.95 <= seconds <= BUDGET * 1.05, f"{steps} steps"


def test_a_fixed_number_of_steps_would_not_end_in_time() -> None:
    """The test above can fail: with the end of the first estimate a busy machine needs three times the budget."""
    machine = Machine(LOADS["measured in a quiet moment"])
    for _ in range(FIRST.end):
        machine.work(1.0)
    assert machine.now > 2 * BUDGET


@pytest.mark.parametrize(
    ("step", "seconds", "end"),
    [
        (0, 9.9, 7),  # 7 steps and the tune at the end
        (0, 12.0, 10),  # the tune after 10 steps is the one at the end
        (0, 14.9, 10),  # an 11th step needs a second tune
        (0, 15.0, 11),
        (10, 0.0, 10),  # nothing left: the training ends here
        (10, 4.9, 10),  # its own tune and one more leave nothing for a step
        (10, 5.0, 11),
        (11, 2.0, 11),
        (11, 3.5, 12),
    ],
)
def test_steps_that_can_be_afforded_by_hand(step: int, seconds: float, end: int) -> None:
    """A step takes 1 s, tune takes 2 s and comes after every 10 steps and at the end."""
    assert find_affordable_end(step, seconds, 1.0, 2.0, 10) == end


def test_evaluations_that_cost_nothing_leave_all_time_to_steps() -> None:
    assert find_affordable_end(0, 10.0, 1.0, 0.0, 10) == 10
    assert find_affordable_end(4, 10.0, 1.0, 0.0, 10) == 14
    assert find_affordable_end(4, 0.5, 1.0, 0.0, 10) == 4


def test_the_first_estimate_is_written_once(tmp_path: Path) -> None:
    """A run that was killed before its first checkpoint begins again with the estimate that its log holds."""
    make_moving_end(Machine(lambda now: 1.0), settings_of(), tmp_path).log_start(FIRST)
    text = (tmp_path / "metrics.jsonl").read_text()
    assert read_end_estimates(tmp_path, "") == {0: FIRST}
    make_moving_end(Machine(lambda now: 1.0), settings_of(), tmp_path).log_start(FIRST)
    assert (tmp_path / "metrics.jsonl").read_text() == text
    make_moving_end(Machine(lambda now: 1.0), settings_of()).log_start(FIRST)


def test_a_short_measurement_counts_for_less(tmp_path: Path) -> None:
    """5 % of 400 steps are 20: after 8 steps of 3 s, the mean goes 8/20 of the way from 1 s to 3 s."""
    machine = Machine(lambda now: 3.0)
    moving_end = make_moving_end(machine, settings_of(steps_per_epoch=8), tmp_path)
    for _ in range(8):
        moving_end.state.step += 1
        machine.work(1.0)
        moved = moving_end.move_end()
    estimate = read_end_estimates(tmp_path, "")[8]
    assert (estimate.spent, estimate.per_step) == (10.0 + 24, pytest.approx(1.8))
    assert moved
    assert estimate.end == moving_end.state.schedule.end == find_affordable_end(8, 456, 1.8, 2.0, 8)


def test_a_long_epoch_has_estimates_within_it_and_a_short_one_at_its_end() -> None:
    def list_estimates(per_epoch: int) -> list[int]:
        machine = Machine(lambda now: 1.0)
        moving_end = make_moving_end(machine, settings_of(steps_per_epoch=per_epoch))
        found = []
        moving_end._find_estimate = lambda: found.append(moving_end.state.step) or FIRST  # type: ignore[assignment, func-returns-value, method-assign]
        for _ in range(30):
            moving_end.state.step += 1
            moving_end.move_end()
        return found

    assert list_estimates(200) == [10, 20, 30]
    assert list_estimates(4) == [4, 8, 10, 12, 16, 20, 24, 28, 30]


def test_the_first_process_decides_for_all() -> None:
    """Stands for the second of two processes, on a machine that is slower than that of the first one."""

    class Second(World):
        def total(self, tensor: torch.Tensor) -> torch.Tensor:
            assert tensor.item() == 0
            return tensor + 123

    machine = Machine(lambda now: 9.0)
    moving_end = make_moving_end(machine, settings_of(), world=Second(1, 2, torch.device("cpu")))
    moving_end.state.step = 4
    assert moving_end.move_end()
    assert moving_end.state.schedule.end == 123


class Fit:
    """A training of a real network with a time budget, whose clock is moved by hand."""

    def __init__(self, folder: Path, slowness: Callable[[float], float]) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.machine, self.stop = folder, Machine(slowness), StopSignal()
        self.settings = settings_of(steps_per_epoch=5, schedule="cosine", rate=1e-2)
        self.moving_end = make_moving_end(self.machine, self.settings, folder)
        self.moving_end.seconds, self.moving_end.state.schedule = 40.0, Schedule("cosine", 1e-2, 2, 0, 30)

    def run(self, stop_at: int = -1) -> None:
        def batches(epoch: int, start_step: int = 0) -> Iterator[Batch]:
            for k in range(start_step, 5):
                yield batch_of({"grade": [[True, True]] * 3, "type": [[True, True]] * 3}, seed=5 * epoch + k)

        def evaluate() -> tuple[float, dict[str, dict[str, float]]]:
            self.machine.work(2.0)
            return 0.5, {}

        data: Any = type("Data", (), {"batches": staticmethod(batches)})
        services = FitServices(
            settings=self.settings,
            seed=0,
            world=ALONE,
            tune=lambda: self.moving_end.time_tune(evaluate),
            keep_best=lambda: None,
            keep_last=self.moving_end.count_time,
            finish=lambda: None,
            log=self.moving_end.log,
            reporter=Pretense(self.machine, self.stop, stop_at),
            stop_signal=self.stop,
            moving_end=self.moving_end,
        )
        run_training_loop(self.moving_end.state, data, services)

    @property
    def weights(self) -> dict[str, torch.Tensor]:
        return self.moving_end.state.network.state_dict()

    def list_ends(self) -> list[int]:
        lines = map(json.loads, (self.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
        return [line["time_budget"]["end"] for line in lines if "time_budget" in line]


def test_a_run_given_the_same_log_takes_the_same_steps(tmp_path: Path) -> None:
    """The second run is on a machine four times as slow: without the log it ends earlier, with it in the same bits."""
    first, alone, again = (tmp_path / name for name in ("first", "alone", "again"))
    one = Fit(first, lambda now: 1.0 if now < 10 else 1.5)
    one.run()
    assert len(set(one.list_ends())) > 1, "the end has moved"
    assert one.moving_end.state.step == one.list_ends()[-1]
    slow = Fit(alone, lambda now: 4.0)
    slow.run()
    assert slow.moving_end.state.step < one.moving_end.state.step
    again.mkdir()
    (again / "metrics.jsonl").write_bytes((first / "metrics.jsonl").read_bytes())
    replayed = Fit(again, lambda now: 4.0)
    replayed.run()
    assert replayed.moving_end.state.schedule == one.moving_end.state.schedule
    assert all(torch.equal(replayed.weights[k], v) for k, v in one.weights.items())
    assert replayed.list_ends() == one.list_ends(), "no estimate is written twice"


def test_a_run_stopped_within_an_epoch_goes_on_with_its_own_time(tmp_path: Path) -> None:
    fit = Fit(tmp_path, lambda now: 1.0)
    with pytest.raises(TrainingInterrupted):
        fit.run(stop_at=7)
    state = fit.moving_end.state
    assert state.pace["spent"] == FIRST.spent + 7 + 2, "seven steps, and tune after the first five"
    fit.machine.now += 1000  # the night
    fit.moving_end = MovingEnd(
        40.0, state, fit.settings, ALONE, fit.moving_end.log, {}, fit.machine.read_clock
    )
    fit.run()
    assert state.finished
    assert 0.95 * 40 <= state.pace["spent"] <= 1.05 * 40


@pytest.mark.parametrize(
    "change",
    [
        {"end": 0},
        {"end": 3.5},
        {"end": True},
        {"spent": -1.0},
        {"per_step": None},
        {"more": 1},
        {"tune_every": 0},
    ],
)
def test_a_damaged_estimate_is_no_estimate(change: dict[str, Any]) -> None:
    good = {"end": 9, "tune_every": 1, "spent": 1.0, "per_step": 0.5, "per_tune": 2}
    assert EndEstimate.parse(good) == EndEstimate(9, 1, 1.0, 0.5, 2)
    assert EndEstimate.parse({**good, **change}) is None
    assert EndEstimate.parse(None) is None


def test_estimates_are_those_of_one_network(tmp_path: Path) -> None:
    assert read_end_estimates(tmp_path, "") == {}
    for name, end in (("grade", 7), ("size", 8)):
        RunLog(tmp_path, 0, name).write(0, {"time_budget": {**vars(FIRST), "end": end}})
    assert {step: e.end for step, e in read_end_estimates(tmp_path, "size").items()} == {0: 8}
