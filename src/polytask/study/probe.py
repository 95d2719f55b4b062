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
from polytask.plan.plan import Plan
from polytask.prepare.batch import Batch
from polytask.prepare.loader import Loader
from polytask.study.arms import BASELINE
from polytask.study.design import Pace, Ratio
from polytask.training.distributed import World, device_named
from polytask.training.new_run import networks_of
from polytask.training.rehearsal import Rehearsal, rehearse_network

LEAST, MOST = 3, 15
"""Least and largest number of timed rounds, after one round that warms up."""
ENOUGH = 10.0
"""After this many seconds per network, no further round is started."""
BRIEF = 2.0
"""An evaluation shorter than this many seconds is timed twice."""
WITHOUT_LOOKS = "training.balance.log_every=0"
"""Setting of the timed plans: logging gradients is rare in a run and would count too much among a few steps."""
Say = Callable[[str], None]


@dataclass
class Stopwatch:
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
    def of(cls, rehearsal: Rehearsal, loader: Loader) -> Stopwatch:
        """Create the stopwatch of a network and time its evaluation on tune."""
        tune = seconds_of(rehearsal.tune, rehearsal)
        if tune < BRIEF:  # the first time loads libraries
            tune = min(tune, seconds_of(rehearsal.tune, rehearsal))
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
        return seconds_of(lambda: self.rehearsal.step(batch), self.rehearsal)


def probe(
    work: Path,
    cohort: Cohort,
    plans: Mapping[str, Plan],
    fold: int,
    tasks: Sequence[str],
    device: str,
    say: Say = lambda what: None,
) -> dict[str, Pace]:
    """Return arm → timing. An arm that cannot be timed is reported and left out; its runs will fail visibly.

    Args:
        plans: arm → plan. fold: the fold whose data are used. tasks: the tasks that are trained.
    """
    world, threads = World(0, 1, device_named(device)), torch.get_num_threads()

    def networks(arm: str) -> Iterator[Rehearsal]:
        torch.set_num_threads(plans[arm].shared.training.threads)
        model = plans[arm].shared.model
        for names in networks_of(tasks, model.sharing, model.after).values():
            yield rehearse_network(work, cohort, plans[arm], fold, names, world)

    try:
        found = in_turns({arm: networks(arm) for arm in plans}, say)
        for arm in plans:
            if arm not in found and len(plans) > 1:  # perhaps only for lack of memory beside the others
                found |= in_turns({arm: networks(arm)}, say)
        return found
    finally:
        torch.set_num_threads(threads)


def in_turns(arms: Mapping[str, Iterator[Rehearsal]], say: Say) -> dict[str, Pace]:
    """Time the arms in rounds, in alternating order, and drop any arm that raises an error."""
    watches: dict[str, list[Stopwatch]] = {}
    with ExitStack() as open_loaders:
        for arm, networks in arms.items():
            say(f"timing {arm}")
            # Lack of memory concerns one arm only and is tolerated; bad input concerns the whole study and is raised.
            with spared(arm, watches, say, but=PolytaskError):
                watches[arm] = []
                for network in networks:
                    loader = open_loaders.enter_context(network.loader(0))
                    watches[arm].append(Stopwatch.of(network, loader))
        spent = 0.0
        for number in range(1 + MOST):
            if number > LEAST and spent > ENOUGH * sum(map(len, watches.values())):
                break
            order = list(watches)
            for arm in order if number % 2 else reversed(order):
                with spared(arm, watches, say):
                    spent += sum(watch.turn(number) for watch in watches[arm])
    return paces_of(watches)


@contextmanager
def spared(
    arm: str, watches: dict[str, list[Stopwatch]], say: Say, but: type[Exception] | tuple[()] = ()
) -> Iterator[None]:
    """Drop an arm whose timing raises an error, and report it; errors of type `reraise` are raised."""
    try:
        yield
    except but:
        raise
    except Exception as error:
        watches.pop(arm, None)
        line = (str(error).splitlines() or [""])[0]
        say(f"arm {arm} cannot be timed: {type(error).__name__}: {line}")


def paces_of(arms: Mapping[str, Sequence[Stopwatch]]) -> dict[str, Pace]:
    """Summarize the rounds of each arm as median seconds, and as ratio to the single networks."""
    by_turn = {
        arm: [sum(step) for step in zip(*(w.turns for w in watches), strict=True)]
        for arm, watches in arms.items()
    }
    base = by_turn.get(BASELINE)
    return {
        arm: Pace(
            step=median(by_turn[arm]),
            tune=sum(w.tune for w in watches),
            parameters=sum(p.numel() for w in watches for p in w.rehearsal.state.network.parameters()),
            beside=Ratio.of(by_turn[arm], base) if base else None,
        )
        for arm, watches in arms.items()
    }


def seconds_of(what: Callable[[], object], rehearsal: Rehearsal) -> float:
    """Call a function and return the seconds until the device has finished its work."""
    device = rehearsal.context.world.device
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda device: None
    wait(device)
    started = time.perf_counter()
    what()
    wait(device)
    return time.perf_counter() - started
