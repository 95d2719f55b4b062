"""Seconds of a step and of an evaluation on tune, of each arm, before the first run. Nothing is written.

The networks of all arms take their steps in turns, so that whatever else the machine does meets them alike: the ratio
of two arms' seconds in the same turn says what one costs beside the other even where the seconds themselves do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

import torch

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan import Plan
from polytask.prepare.batch import Batch
from polytask.study.arms import BASELINE
from polytask.study.design import Pace, Ratio
from polytask.training.distributed import World, device_named
from polytask.training.rehearsal import Rehearsal, rehearse_network
from polytask.training.run import networks_of

LEAST, MOST = 3, 15
"""Turns that are timed, behind one that warms up."""
ENOUGH = 10.0
"""Seconds for each network after which there is no further turn."""
BATCHES = 3
"""That a network's steps are timed on."""
BRIEF = 2.0
"""Seconds of an evaluation that is worth timing twice."""
WITHOUT_LOOKS = "training.balance.log_every=0"
"""What timed plans have set: looks for the log are rare in a run and would be frequent among a few steps."""


@dataclass
class Stopwatch:
    """One network before its first step.

    Args:
        reading: seconds of a batch, in this process. tune: of an evaluation on tune.
        turns: of an optimiser step, by turn.
    """

    rehearsal: Rehearsal
    batches: list[Batch]
    reading: float
    tune: float
    turns: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, rehearsal: Rehearsal) -> Stopwatch:
        """With its first batches read."""
        with rehearsal.loader(0) as loader:
            stream = loader.batches(0)
            first = next(stream)  # opens what is read from
            started = time.perf_counter()
            batches = list(islice(stream, BATCHES))
            reading = (time.perf_counter() - started) / max(1, len(batches))
        tune = seconds_of(rehearsal.tune, rehearsal)
        if tune < BRIEF:  # the first time loads libraries
            tune = min(tune, seconds_of(rehearsal.tune, rehearsal))
        return cls(rehearsal, batches or [first], reading, tune)

    def turn(self, number: int) -> float:
        """Seconds of a step as the mean over a run: reading goes on beside it if there are workers, and where a rule
        looks at gradients every so many steps, the others are quicker. The first turn is not kept."""
        settings = self.rehearsal.context.plan.shared.training
        batch = self.batches[number % len(self.batches)]
        every = settings.balance.every
        looking = self._step(batch, every)
        between = self._step(batch, every + 1) if every > 1 else looking
        step = (looking + (every - 1) * between) / every
        ready = self.reading / max(1, settings.workers)
        step = max(step, ready) if settings.workers else step + ready
        if number:
            self.turns.append(step * settings.accumulation)
        return looking + between

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
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Pace]:
    """Arm → pace; an arm that cannot be timed is said and is not in it: its runs will fail and be shown.

    Args:
        plans: of the arms. fold: whose data. tasks: that are fitted.
    """
    world, threads = World(0, 1, device_named(device)), torch.get_num_threads()
    arms: dict[str, list[Stopwatch]] = {}
    spent = 0.0
    try:
        for arm, plan in plans.items():
            say(f"timing {arm}")
            torch.set_num_threads(plan.shared.training.threads)
            model = plan.shared.model
            groups = networks_of(tasks, model.sharing, model.after).values()
            with spared(arm, arms, say):
                networks = (rehearse_network(work, cohort, plan, fold, names, world) for names in groups)
                arms[arm] = [Stopwatch.of(network) for network in networks]
        for number in range(1 + MOST):
            if number > LEAST and spent > ENOUGH * sum(map(len, arms.values())):
                break
            for arm in list(arms):
                with spared(arm, arms, say):
                    spent += sum(watch.turn(number) for watch in arms[arm])
    finally:
        torch.set_num_threads(threads)
    return paces_of(arms)


@contextmanager
def spared(arm: str, arms: dict[str, list[Stopwatch]], say: Callable[[str], None]) -> Iterator[None]:
    """An arm that breaks down takes no other with it."""
    try:
        yield
    except PolytaskError:
        raise
    except Exception as error:
        arms.pop(arm, None)
        line = (str(error).splitlines() or [""])[0]
        say(f"arm {arm} cannot be timed: {type(error).__name__}: {line}")


def paces_of(arms: Mapping[str, Sequence[Stopwatch]]) -> dict[str, Pace]:
    """From what was timed in turns."""
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
    """Until the device is done with it."""
    device = rehearsal.context.world.device
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda device: None
    wait(device)
    started = time.perf_counter()
    what()
    wait(device)
    return time.perf_counter() - started
