"""Seconds of a step and of an evaluation on tune, of each arm, before the first run. Nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from statistics import median

import torch

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.plan.plan import Plan
from polytask.study.design import Pace
from polytask.training.distributed import World, device_named
from polytask.training.rehearsal import Rehearsal, rehearse_network
from polytask.training.run import networks_of

LEAST, MOST = 3, 12
"""Steps that are timed, behind one that warms up."""
ENOUGH = 10.0
"""Seconds of steps after which no further one is timed."""
BRIEF = 2.0
"""Seconds of an evaluation that is worth timing twice."""


def probe(
    work: Path,
    cohort: Cohort,
    plans: Mapping[str, Plan],
    fold: int,
    tasks: Sequence[str],
    device: str,
    say: Callable[[str], None] = lambda what: None,
) -> dict[str, Pace]:
    """Arm → pace. An arm with several networks is timed network by network.

    Args:
        plans: of the arms. fold: whose data. tasks: that are fitted.
    """
    world = World(0, 1, device_named(device))
    threads = torch.get_num_threads()
    found: dict[str, Pace] = {}
    try:
        for arm, plan in plans.items():
            say(f"timing {arm}")
            torch.set_num_threads(plan.shared.training.threads)
            model = plan.shared.model
            groups = networks_of(tasks, model.sharing, model.after).values()
            try:
                paces = [_pace(rehearse_network(work, cohort, plan, fold, names, world)) for names in groups]
            except PolytaskError:
                raise
            except Exception as error:  # its runs will fail and be shown; the other arms need not
                say(
                    f"arm {arm} cannot be timed: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
                )
                continue
            found[arm] = Pace(
                sum(p.step for p in paces), sum(p.tune for p in paces), sum(p.parameters for p in paces)
            )
    finally:
        torch.set_num_threads(threads)
    return found


def _pace(rehearsal: Rehearsal) -> Pace:
    """The median step, reading included, and one evaluation."""
    settings = rehearsal.context.plan.shared.training
    seconds: list[float] = []
    with rehearsal.loader() as loader:
        for batch in islice(loader.batches(0), MOST + 1):
            started = time.perf_counter()
            rehearsal.step(batch)
            _wait(rehearsal)
            seconds.append(time.perf_counter() - started)
            if len(seconds) > LEAST and sum(seconds) > ENOUGH:
                break
    tune = _tune(rehearsal)
    if tune < BRIEF:  # the first time loads libraries
        tune = min(tune, _tune(rehearsal))
    numbers = sum(p.numel() for p in rehearsal.state.network.parameters())
    return Pace(median(seconds[1:] or seconds) * settings.accumulation, tune, numbers)


def _tune(rehearsal: Rehearsal) -> float:
    started = time.perf_counter()
    rehearsal.tune()
    _wait(rehearsal)
    return time.perf_counter() - started


def _wait(rehearsal: Rehearsal) -> None:
    if rehearsal.context.world.device.type == "cuda":
        torch.cuda.synchronize(rehearsal.context.world.device)
