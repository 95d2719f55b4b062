"""Keeps a training within its time budget: moves its last step whenever the speed of the machine has changed."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from polytask.documents.json_reader import read_json_lines
from polytask.plan.plan_schema import TrainingPlan
from polytask.training.distributed import World
from polytask.training.run_log import RUN_LOG_FILE, TIME_BUDGET_SECTION, RunLog, is_log_entry
from polytask.training.state import FitState

ESTIMATES_PER_TRAINING = 40
"""An epoch that is longer than this part of the training has estimates at this distance within it too."""
SPEED_MEMORY_SHARE = 0.05
"""Share of the training after which a change of speed is fully believed. Shorter measurements count for less, so that
one slow step near the end does not end the training."""
T = TypeVar("T")


@dataclass(frozen=True)
class EndEstimate:
    """One estimate of the last step, as it stands in the log.

    Args:
        end: how many steps the training has.
        tune_every: epochs from one evaluation on tune to the next; the same in all estimates of a training.
        spent: seconds of the budget that were gone when it was made.
        per_step, per_tune: seconds of one step, and of one evaluation on tune.
    """

    end: int
    tune_every: int
    spent: float
    per_step: float
    per_tune: float

    @classmethod
    def parse(cls, section: Any) -> EndEstimate | None:
        """Make an estimate of a section of the log; None if it cannot be one."""
        if not isinstance(section, Mapping) or set(section) != set(cls.__dataclass_fields__):
            return None
        counts, seconds = ("end", "tune_every"), ("spent", "per_step", "per_tune")
        if not all(type(section[key]) is int and section[key] >= 1 for key in counts):
            return None
        if not all(type(section[key]) in (int, float) and section[key] >= 0 for key in seconds):
            return None
        return cls(**section)


def read_end_estimates(folder: Path, network: str) -> dict[int, EndEstimate]:
    """Read the estimates that the log of a run holds for one of its networks: step → estimate."""
    if not (folder / RUN_LOG_FILE).exists():
        return {}
    estimates = {}
    for _, line in read_json_lines(folder / RUN_LOG_FILE, "the log of a run"):
        if line is None or not is_log_entry(line) or line.get("network", "") != network:
            continue
        if estimate := EndEstimate.parse(line.get(TIME_BUDGET_SECTION)):
            estimates[line["step"]] = estimate
    return estimates


def find_affordable_end(
    step: int, seconds: float, per_step: float, per_tune: float, steps_per_tune: int
) -> int:
    """Find the last step that can be afforded after `step` with so many seconds left.

    Counts the planned evaluations on tune, that of this step included if it has one, and the one after the last step.
    """

    def count_seconds(end: int) -> float:
        tunes = end // steps_per_tune - max(step - 1, 0) // steps_per_tune + (end % steps_per_tune > 0)
        return (end - step) * per_step + tunes * per_tune

    most = step + max(0, int(seconds / max(per_step, 1e-9)))
    return step + bisect_right(range(step + 1, most + 1), seconds, key=count_seconds)


class MovingEnd:
    """The end of a training with a time budget.

    At the end of each epoch, and within long epochs, the steps that still fit into the budget are counted again, from
    the seconds that a step took lately. The estimate is written into the log before it is used. A step for which the
    log has an estimate already, because the run was killed after it, takes that one: so the weights are those of a run
    that was never killed. The first process decides for all.

    Args:
        seconds: the budget of this network.
        logged: estimates that the log already holds, by step.
        clock: returns seconds; tests bring their own.
    """

    def __init__(
        self,
        seconds: float,
        state: FitState,
        settings: TrainingPlan,
        world: World,
        log: RunLog | None,
        logged: Mapping[int, EndEstimate],
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.seconds, self.state, self.settings, self.world = seconds, state, settings, world
        self.log, self.logged, self.clock = log, logged, clock
        self._start_measurement()

    def _start_measurement(self) -> None:
        self._first_step, self._first_spent, self._in_tune = self.state.step, self.state.pace["spent"], 0.0
        self._counted_until = self.clock()

    def count_time(self) -> None:
        """Add the time since the last call to what the state says was spent. Call it before the state is saved."""
        now = self.clock()
        self.state.pace["spent"] += now - self._counted_until
        self._counted_until = now

    def time_tune(self, tune: Callable[[], T]) -> T:
        """Evaluate on tune and remember how long it took."""
        started = self.clock()
        result = tune()
        self.state.pace["per_tune"] = self.clock() - started
        self._in_tune += self.state.pace["per_tune"]
        return result

    def log_start(self, estimate: EndEstimate) -> None:
        """Write the first estimate into the log, unless it came from there."""
        if self.log and 0 not in self.logged:
            self.log.write(0, {TIME_BUDGET_SECTION: asdict(estimate)})

    def is_due(self) -> bool:
        """Whether this step is one after which the end is estimated again."""
        within = self.state.step % max(1, self.state.schedule.end // ESTIMATES_PER_TRAINING)
        return not (self.state.step % self.settings.steps_per_epoch and within)

    def move_end(self) -> bool:
        """Estimate the end again if this step is one that asks for it. Returns whether the end has moved."""
        state, before = self.state, self.state.schedule.end
        # Every process comes to the same answer, so all of them take part in `share_number`.
        if not self.is_due():
            return False
        end = self.world.share_number(self._find_estimate().end if self.world.chief else 0)
        state.schedule = state.schedule.move_end(state.step, end)
        return end != before

    def _find_estimate(self) -> EndEstimate:
        """Find the estimate for this step in the log, or make it and write it there."""
        state = self.state
        estimate = self.logged.get(state.step)
        if estimate is None or estimate.end < state.step:
            estimate = self._estimate_end()
            if self.log:
                self.log.write(state.step, {TIME_BUDGET_SECTION: asdict(estimate)})
        state.pace = {key: getattr(estimate, key) for key in state.pace}
        self._start_measurement()
        return estimate

    def _estimate_end(self) -> EndEstimate:
        self.count_time()
        state, settings, pace = self.state, self.settings, self.state.pace
        steps = state.step - self._first_step
        measured = (pace["spent"] - self._first_spent - self._in_tune) / max(1, steps)
        weight = min(1.0, steps / (SPEED_MEMORY_SHARE * state.schedule.end))
        per_step = pace["per_step"] + weight * (measured - pace["per_step"])
        left, per_tune = self.seconds - pace["spent"], pace["per_tune"]
        steps_per_tune = settings.tune_every * settings.steps_per_epoch
        end = find_affordable_end(state.step, left, per_step, per_tune, steps_per_tune)
        return EndEstimate(end, settings.tune_every, pace["spent"], per_step, per_tune)
