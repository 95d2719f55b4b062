"""Measures where the time of a step goes on this machine, with data and computation apart."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from polytask.prepare.batch import Batch
from polytask.training.rehearsal import Rehearsal, load_rehearsal

TIMING_WARM_UP = 2
"""Steps before the measurement starts."""
STEPS_PER_ROUND = 4
"""Steps on a cached batch, then as many on batches from the loader, and so on: both see
the machine in the same state."""
MAX_DATA_RATIO = 1.05
"""A fed step longer than this multiple of a cached one gets a hint about reading."""
LONG_TUNE_SHARE = 0.15
"""Share of the time above which evaluation on tune gets a hint."""
STEP_PARTS = ("targets", "forward", "losses", "backward", "optimiser")


@dataclass(frozen=True)
class Timing:
    """Seconds, each the median over the steps.

    Args:
        batch: samples of a step. workers: data processes of the plan.
        read: per batch from the loader with the plan's workers, while nothing else runs.
        read_here: the same with 0 workers.
        parts: of a step on a cached batch: targets, forward, losses, backward, optimiser.
        losses: of the part `losses`, by task (forward pass of the criterion).
        step: on a cached batch. fed: on batches from the loader. data_path: fed / step.
        tune: one evaluation on the tune part. tune_share: its share of the time when one is made every `tune_every`
            epochs.
        hints: what to try, one line each.
    """

    device: str
    precision: str
    threads: int
    batch: int
    steps: int
    workers: int
    read: float
    read_here: float
    parts: dict[str, float]
    losses: dict[str, float]
    step: float
    fed: float
    data_path: float
    tune: float
    tune_share: float
    hints: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def time_steps(
    work: Path | str,
    fold: int = 0,
    steps: int = 20,
    changes: Sequence[str] = (),
    device: str | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Timing:
    """Measure reading, the parts of a step, both together, and one evaluation on tune.

    Nothing is written.
    """
    rehearsal = load_rehearsal(work, fold, changes=changes, device=device)
    settings = rehearsal.context.plan.shared.training
    progress("reading in this process")
    here = _time_reading(rehearsal, 0, steps)
    if settings.workers:
        progress(f"reading with {settings.workers} workers")
    read = _time_reading(rehearsal, settings.workers, steps) if settings.workers else here
    progress("steps")
    laps, cached, fed = _time_cached_and_fed(rehearsal, steps)
    progress("tune")
    started = _read_device_clock(rehearsal)
    rehearsal.tune()
    tune = _read_device_clock(rehearsal) - started
    names = list(rehearsal.state.network.tasks)
    losses = {name: _find_lap_median(laps, f"loss {name}") for name in names}
    parts = {part: _find_lap_median(laps, part) for part in STEP_PARTS} | {"losses": sum(losses.values())}
    between = fed * settings.steps_per_epoch * settings.accumulation * settings.tune_every
    timing = Timing(
        device=str(rehearsal.context.world.device),
        precision=settings.precision,
        threads=torch.get_num_threads(),
        batch=settings.batch,
        steps=steps,
        workers=settings.workers,
        read=read,
        read_here=here,
        parts=parts,
        losses=losses,
        step=cached,
        fed=fed,
        data_path=fed / cached,
        tune=tune,
        tune_share=tune / (tune + between),
        hints=(),
    )
    return Timing(**{**vars(timing), "hints": tuple(list_timing_hints(timing, settings.tune_every))})


def _time_reading(rehearsal: Rehearsal, workers: int, steps: int) -> float:
    """Measure the seconds per batch while nothing else runs. The start of the workers and their first batches are left
    out."""
    with rehearsal.loader(workers) as loader:
        batches = _repeat_epochs(loader.batches)
        # Each worker reads two batches ahead: those were ready before the clock started.
        for _ in islice(batches, TIMING_WARM_UP + 2 * workers):
            pass
        started = time.perf_counter()
        for _ in islice(batches, steps):
            pass
        return (time.perf_counter() - started) / steps


def _time_cached_and_fed(rehearsal: Rehearsal, steps: int) -> tuple[list[dict[str, float]], float, float]:
    """Return the laps of the cached steps, and the seconds of a cached and of a fed step, measured in turns."""
    laps: list[dict[str, float]] = []
    seconds: dict[str, list[float]] = {"cached": [], "fed": []}
    with rehearsal.loader() as loader:
        fed = _repeat_epochs(loader.batches)
        cached = next(fed)
        for batch in islice(fed, TIMING_WARM_UP):
            rehearsal.step(batch)
        while len(seconds["fed"]) < steps:
            for _ in range(STEPS_PER_ROUND):
                watch = _LapWatch(rehearsal)
                rehearsal.step(cached, watch.end_part)
                seconds["cached"].append(watch.seconds)
                laps.append(watch.laps)
            for _ in range(STEPS_PER_ROUND):
                started = _read_device_clock(rehearsal)
                rehearsal.step(next(fed))
                seconds["fed"].append(_read_device_clock(rehearsal) - started)
    return laps, median(seconds["cached"]), median(seconds["fed"])


class _LapWatch:
    """Measures the seconds of each part of one step, from the moment it is made."""

    def __init__(self, rehearsal: Rehearsal):
        self.rehearsal = rehearsal
        self.laps: dict[str, float] = {}
        self._started = self._last = _read_device_clock(rehearsal)

    @property
    def seconds(self) -> float:
        """The time from the start to the end of the last part."""
        return self._last - self._started

    def end_part(self, part: str) -> None:
        """Record that a part of the step is done."""
        now = _read_device_clock(self.rehearsal)
        self.laps[part], self._last = now - self._last, now


def _repeat_epochs(batches: Callable[[int], Iterator[Batch]]) -> Iterator[Batch]:
    """Yield the batches of one epoch after another, without end."""
    epoch = 0
    while True:
        yield from batches(epoch)
        epoch += 1


def _read_device_clock(rehearsal: Rehearsal) -> float:
    """Read the clock in seconds, after the device has finished its work."""
    device = rehearsal.context.world.device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def _find_lap_median(laps: Sequence[dict[str, float]], part: str) -> float:
    seconds = [lap[part] for lap in laps if part in lap]
    return median(seconds) if seconds else 0.0


def list_timing_hints(t: Timing, tune_every: int) -> Iterator[str]:
    """List what would help to train faster, the most important first."""
    from polytask.plan.machine import count_usable_cores
    from polytask.plan.precision_probe import probe_precision

    cores = count_usable_cores()
    if t.data_path > MAX_DATA_RATIO:
        lost = f"reading costs {100 * (t.data_path - 1):.0f} % of a step"
        if t.workers == 0:
            yield f"{lost}: try --set training.workers={1 if cores <= 2 else 2}"
        elif t.workers + 1 < cores:
            yield f"{lost} with {t.workers} workers: try --set training.workers={min(cores - 1, 2 * t.workers)}"
        elif t.read_here <= t.read:
            yield f"{lost} and {t.workers} workers do not help: try --set training.workers=0"
        else:
            yield f"{lost} and all {cores} cores are busy: weaken augmentation, or train on a GPU"
    if t.precision == "float32" and t.device.split(":")[0] in ("cpu", "cuda"):
        best, gain = probe_precision("cuda" if t.device.startswith("cuda") else "cpu")
        if best == "bf16":
            yield f"bf16 is {gain:.1f} times as fast in a probe: try --set training.precision=bf16"
    if t.threads < cores and t.device == "cpu" and t.threads + t.workers < cores:
        yield f"only {t.threads} of {cores} cores compute: try --set training.threads={cores - t.workers}"
    if t.tune_share > LONG_TUNE_SHARE:
        wanted = int(tune_every * t.tune_share / (1 - t.tune_share) / LONG_TUNE_SHARE) + 1
        yield f"tune takes {100 * t.tune_share:.0f} % of the time: try --set training.tune_every={wanted}"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if t.device == "cpu" and load > cores + 1:
        yield f"the machine is busy (load {load:.1f} on {cores} cores): measure again when it is quiet"
