"""Times a step and an evaluation on tune of each arm before the first run. Nothing is written.

The networks of all arms take their steps in rounds, one after the other, so that other work on the machine slows all of
them alike. The ratio of two arms' seconds in the same round is then reliable even when the seconds themselves are not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median

import torch

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.prepare.batch import Batch
from polytask.prepare.loader import Loader
from polytask.study.arms import BASELINE
from polytask.study.study_design import ArmTiming, RatioQuartiles
from polytask.training.device_speedups import choose_speedups
from polytask.training.distributed import World, choose_device
from polytask.training.rehearsal import Rehearsal, build_rehearsal
from polytask.training.run_record import assign_networks

MIN_TIMED_TURNS, MAX_TIMED_TURNS = 3, 15
"""Least and largest number of timed rounds, after one round that warms up."""
MAX_SECONDS_PER_NETWORK = 10.0
"""No further round is started after this many seconds per network."""
SHORT_EVALUATION_SECONDS = 2.0
"""An evaluation shorter than this many seconds is timed twice."""
NO_GRADIENT_LOG = "training.balance.log_every=0"
"""Setting of the timed plans: logging gradients is rare in a run and would count too much among a few steps."""
TimingMessage = Callable[[str], None]


@dataclass
class NetworkStopwatch:
    """Times one network: its evaluation on tune and its optimizer steps.

    Args:
        batches: endless stream of batches, read in this process. tune: seconds of an evaluation on tune.
        turns: seconds of an optimizer step in each timed round.
    """

    rehearsal: Rehearsal
    batches: Iterator[Batch]
    tune: float
    turns: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, rehearsal: Rehearsal, loader: Loader) -> NetworkStopwatch:
        """Create the stopwatch of a network and time its evaluation on tune."""
        tune = time_call(rehearsal.tune, rehearsal)
        if tune < SHORT_EVALUATION_SECONDS:  # the first time loads libraries
            tune = min(tune, time_call(rehearsal.tune, rehearsal))
        batches = (batch for epoch in count() for batch in loader.batches(epoch))
        return cls(rehearsal, batches, tune)

    def turn(self, number: int) -> float:
        """Time one round and return the seconds it took; round 0 warms up and is not kept.

        The noted time is the mean of a step over a whole run: with data workers, reading happens during the step; and
        where a balancing rule looks at gradients only in some steps, the other steps are quicker.
        """
        settings = self.rehearsal.context.plan.shared.training
        every = settings.balance.every
        started = time.perf_counter()
        batch = next(self.batches)
        reading = time.perf_counter() - started
        looking = self._step(batch, every)
        between = self._step(batch, every + 1) if every > 1 else looking
        step = (looking + (every - 1) * between) / every
        step = max(step, reading / settings.workers) if settings.workers else step + reading
        if number:
            self.turns.append(step * settings.accumulation)
        return time.perf_counter() - started

    def _step(self, batch: Batch, number: int) -> float:
        self.rehearsal.state.step = number
        return time_call(lambda: self.rehearsal.step(batch), self.rehearsal)


def time_arms(
    work: Path,
    cohort: Cohort,
    plans: Mapping[str, Plan],
    fold: int,
    tasks: Sequence[str],
    device: str,
    say: TimingMessage = lambda what: None,
) -> dict[str, ArmTiming]:
    """Return arm → timing. An arm that cannot be timed is reported and left out; its runs will fail visibly.

    Args:
        plans: arm → plan. fold: the fold whose data are used. tasks: the tasks that are trained.
    """
    place, threads = choose_device(device), torch.get_num_threads()
    world = World(0, 1, place, choose_speedups(place))

    def networks(arm: str) -> Iterator[Rehearsal]:
        torch.set_num_threads(plans[arm].shared.training.threads)
        model = plans[arm].shared.model
        for names in assign_networks(tasks, model.sharing, model.after, model.groups).values():
            yield build_rehearsal(work, cohort, plans[arm], fold, names, world)

    try:
        timings = time_arms_in_turns({arm: networks(arm) for arm in plans}, say)
        for arm in plans:
            if arm not in timings and len(plans) > 1:  # perhaps only for lack of memory beside the others
                timings |= time_arms_in_turns({arm: networks(arm)}, say)
        return timings
    finally:
        torch.set_num_threads(threads)


def time_arms_in_turns(arms: Mapping[str, Iterator[Rehearsal]], say: TimingMessage) -> dict[str, ArmTiming]:
    """Time the arms in rounds, in alternating order, and drop any arm that raises an error."""
    watches: dict[str, list[NetworkStopwatch]] = {}
    with ExitStack() as open_loaders:
        for arm, networks in arms.items():
            say(f"timing {arm}")
            # Lack of memory concerns one arm only and is tolerated; bad input concerns the whole study and is raised.
            with drop_failing_arm(arm, watches, say, reraise=PolytaskError):
                watches[arm] = []
                for network in networks:
                    loader = open_loaders.enter_context(network.loader(0))
                    watches[arm].append(NetworkStopwatch.of(network, loader))
        spent = 0.0
        for number in range(1 + MAX_TIMED_TURNS):
            if number > MIN_TIMED_TURNS and spent > MAX_SECONDS_PER_NETWORK * sum(map(len, watches.values())):
                break
            order = list(watches)
            for arm in order if number % 2 else reversed(order):
                with drop_failing_arm(arm, watches, say):
                    spent += sum(watch.turn(number) for watch in watches[arm])
    return summarize_timings(watches)


@contextmanager
def drop_failing_arm(
    arm: str,
    stopwatches: dict[str, list[NetworkStopwatch]],
    say: TimingMessage,
    reraise: type[Exception] | tuple[()] = (),
) -> Iterator[None]:
    """Drop an arm whose timing raises an error, and report it; errors of type `reraise` are raised."""
    try:
        yield
    except reraise:
        raise
    except Exception as error:
        stopwatches.pop(arm, None)
        line = (str(error).splitlines() or [""])[0]
        say(f"arm {arm} cannot be timed: {type(error).__name__}: {line}")


def summarize_timings(arms: Mapping[str, Sequence[NetworkStopwatch]]) -> dict[str, ArmTiming]:
    """Summarize the rounds of each arm as median seconds, and as ratio to the single networks."""
    by_turn = {
        arm: [sum(step) for step in zip(*(w.turns for w in watches), strict=True)]
        for arm, watches in arms.items()
    }
    base = by_turn.get(BASELINE)
    return {
        arm: ArmTiming(
            step=median(by_turn[arm]),
            tune=sum(w.tune for w in watches),
            parameters=sum(p.numel() for w in watches for p in w.rehearsal.state.network.parameters()),
            beside=RatioQuartiles.of(by_turn[arm], base) if base else None,
        )
        for arm, watches in arms.items()
    }


def time_call(operation: Callable[[], object], rehearsal: Rehearsal) -> float:
    """Call a function and return the seconds until the device has finished its work."""
    device = rehearsal.context.world.device
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda device: None
    wait(device)
    started = time.perf_counter()
    operation()
    wait(device)
    return time.perf_counter() - started
