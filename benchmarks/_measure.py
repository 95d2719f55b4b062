"""Shared by the benchmarks: a prepared phantom, alternating timing in one process, and ratios with their bounds."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polytask.training.loop import FitServices
    from polytask.training.rehearsal import Rehearsal
    from polytask.training.run_log import RunLog

os.environ.setdefault(
    "GOMP_SPINCOUNT", "1000"
)  # as the command line has it; OpenMP reads it when torch is loaded
Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}
"""`cpu` with one thread counts only the work of this process: use it while other work runs on the machine."""


@dataclass(frozen=True)
class Ratio:
    """One figure: the median over rounds, its 95 % interval and quartiles, and the bound it is held against."""

    name: str
    value: float
    low: float
    high: float
    lower_quartile: float
    upper_quartile: float
    rounds: int
    bound: float
    wanted: str

    @property
    def missed(self) -> bool:
        """Whether the whole interval lies on the wrong side of the bound."""
        return self.low > self.bound if self.wanted == "at most" else self.high < self.bound

    def __str__(self) -> str:
        spread = f"95 % {self.low:.3f} to {self.high:.3f}"
        inner = f"quartiles {self.lower_quartile:.3f} {self.upper_quartile:.3f}, {self.rounds} rounds"
        verdict = "MISSED" if self.missed else "ok"
        return f"{self.name}: {self.value:.3f} ({spread}, {inner}); {self.wanted} {self.bound:g}: {verdict}"


def summarize_ratio(name: str, values: Sequence[float], bound: float, wanted: str = "at most") -> Ratio:
    """Summarize one value per round. `wanted` is "at most" or "at least"."""
    ordered = sorted(values)
    low, high = _interval_of_the_median(ordered)
    first, _, third = quantiles(ordered, n=4, method="inclusive") if len(ordered) > 1 else ordered * 3
    return Ratio(name, median(ordered), low, high, first, third, len(ordered), bound, wanted)


def _interval_of_the_median(ordered: Sequence[float]) -> tuple[float, float]:
    """Return the order statistics that enclose the median with at least 95 %; with fewer than six values, the ends."""
    n, below, k = len(ordered), 0.0, 0
    while k < n // 2:
        below += math.comb(n, k) / 2**n
        if below > 0.025:
            break
        k += 1
    k = max(0, k - 1)
    return ordered[k], ordered[n - 1 - k]


def time_in_turns(
    sides: Mapping[str, Callable[[], object]], rounds: int, clock: Clock, warm: int = 1
) -> dict[str, list[float]]:
    """Return the seconds of each side in each round. The sides alternate, every second round in reverse order.

    Both sides must run in one process: two processes differ by more than what is measured.
    """
    for _ in range(warm):
        for run in sides.values():
            run()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(rounds):
        order = list(sides.items())
        for name, run in order if turn % 2 == 0 else reversed(order):
            started = clock()
            run()
            seconds[name].append(clock() - started)
    return seconds


def parse_options(doc: str | None, rounds: int, **more: Any) -> argparse.Namespace:
    """Parse the command line: the options of all benchmarks, and those in `more` (name → default)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="cpu: on a busy machine, --threads 1"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    for name, default in more.items():
        parser.add_argument(f"--{name}", type=type(default), default=default)
    return parser.parse_args()


def print_and_exit(figures: Sequence[Ratio], as_json: bool, details: Mapping[str, Any] | None = None) -> None:
    """Print the figures and exit, with code 1 if a bound is missed by more than the noise."""
    missed = any(r.missed for r in figures)
    if as_json:
        load = os.getloadavg()[0]
        ratios = [asdict(r) | {"missed": r.missed} for r in figures]
        print(json.dumps({"ratios": ratios, "details": dict(details or {}), "load": load}, indent=1))
    else:
        for r in figures:
            print(r)
        for name, value in (details or {}).items():
            print(f"  {name}: {value}")
    sys.exit(1 if missed else 0)


def begin_bare_fit(rehearsal: Rehearsal, steps: int, rate: float, log: RunLog) -> FitServices:
    """Set a rehearsal back to its first step, and return services for one epoch at a constant rate.

    They evaluate nothing and keep no weights.
    """
    from polytask.training.interrupt import StopSignal
    from polytask.training.loop import FitServices
    from polytask.training.run import SilentReporter
    from polytask.training.schedule import Schedule

    state = rehearsal.state
    state.step, state.finished = 0, False
    state.schedule = Schedule("constant", rate, 0, 0, steps)
    return FitServices(
        settings=rehearsal.context.plan.shared.training.model_copy(
            update={"steps_per_epoch": steps, "tune_every": 10**6, "patience": 0, "accumulation": 1}
        ),
        seed=0,
        world=rehearsal.context.world,
        tune=lambda: (0.0, {}),
        keep_best=lambda: None,
        keep_last=lambda: None,
        finish=lambda: None,
        log=log,
        reporter=SilentReporter(),
        stop_signal=StopSignal(),
    )


@contextmanager
def make_phantom_work(
    subjects: int,
    size: int,
    dims: int = 3,
    visits: int = 1,
    tasks: Sequence[str] | None = None,
    settings: Sequence[str] = (),
) -> Iterator[Path]:
    """Make a planned and prepared phantom in a temporary folder."""
    from polytask.cohort.phantom import make_phantom
    from polytask.plan.work_folder import plan_into
    from polytask.prepare import prepare

    with tempfile.TemporaryDirectory() as folder:
        cohort, work = Path(folder) / "cohort", Path(folder) / "work"
        make_phantom(cohort, subjects, size, 0, 3 if dims == 3 else 2, visits, tasks)
        plan_into(cohort, work, folds=3, settings=settings)
        prepare(work)
        yield work
