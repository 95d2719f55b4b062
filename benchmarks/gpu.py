"""What each lever of a device gains: steps a second against a training without any, peak memory, images a second.

    python benchmarks/gpu.py [--device cuda] [--size 96] [--steps 30] [--rounds 3] [--minutes 7] [--levers copies,bf16]
                             [--work WORK] [--json]

Levers: pinned asynchronous copies (`copies`), `channels_last`, the fused optimizer (`fused`, with SGD, because AdamW is
always fused), no host synchronization (`no_sync`), `compile`, `bf16`, and `all` of them; each trains a 3D phantom of
all tasks, or the folder of --work, with the real loop and loader, and takes turns with its baseline. Before the first
measured step of an arm come three that are not counted, in which it compiles. Prediction is measured in sliding windows
of half the edge of an image, one at a time and in batches. A lever that a device lacks is reported as "not on this
device". No arm begins after --minutes, so that all of it takes at most about a minute more.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch

from _measure import begin_bare_fit, make_phantom_work
from polytask.inference.sample_prediction import run_voxel_windows
from polytask.inference.window_batch import choose_window_batch
from polytask.inference.window_blending import blend_windows
from polytask.prepare.batch import Batch
from polytask.prepare.loader import Loader
from polytask.training.device_speedups import MAX_STEPS_AHEAD, NO_SPEEDUPS
from polytask.training.distributed import choose_device
from polytask.training.freed_memory import give_freed_memory_back
from polytask.training.loop import run_training_loop
from polytask.training.rehearsal import Rehearsal, load_rehearsal
from polytask.training.run_log import RunLog

RATE = 1e-6
UNCOUNTED_STEPS = 3
ABSENT, LATE = "not on this device", "not measured, because the time was over"
PLAIN = ("training.precision=float32", "training.compile=false")


@dataclass(frozen=True)
class Lever:
    """One way to a faster step.

    Args:
        changes: what it sets in the plan. speedups: which fields of `DeviceSpeedups` it sets.
        base: changes of the plan on both sides of its comparison.
        devices: where it exists; empty = everywhere.
    """

    changes: tuple[str, ...] = ()
    speedups: Mapping[str, Any] = field(default_factory=dict)
    base: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()


SGD = ("training.optimizer=sgd",)
CUDA = ("cuda",)
LEVERS = {
    "copies": Lever(speedups={"overlapped_copies": True}, devices=CUDA),
    "channels_last": Lever(speedups={"channels_last": True}, devices=CUDA),
    "fused": Lever(speedups={"fused_optimizer": True}, base=SGD, devices=CUDA),
    "no_sync": Lever(speedups={"steps_ahead": MAX_STEPS_AHEAD, "fused_optimizer": True}, devices=CUDA),
    "compile": Lever(("training.compile=true",)),
    "bf16": Lever(("training.precision=bf16",)),
    "all": Lever(
        ("training.compile=true", "training.precision=bf16"),
        {
            "overlapped_copies": True,
            "channels_last": True,
            "fused_optimizer": True,
            "steps_ahead": MAX_STEPS_AHEAD,
        },
        devices=CUDA,
    ),
}


@dataclass(frozen=True)
class ArmFigures:
    """What was measured of one side: steps a second in each round, and the largest peak of memory in bytes."""

    steps_per_second: tuple[float, ...]
    peak: int | None


class EndlessBatches:
    """The batches of one epoch after another, from one loader."""

    def __init__(self, loader: Loader):
        self.source = self._repeat_epochs(loader)

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Go on where the last call stopped."""
        # A generator of its own: the loop closes it at the end, and the source goes on with the next call.
        return (batch for batch in self.source)

    @staticmethod
    def _repeat_epochs(loader: Loader) -> Iterator[Batch]:
        epoch = 0
        while True:
            yield from loader.batches(epoch)
            epoch += 1


def run_steps(rehearsal: Rehearsal, batches: EndlessBatches, steps: int, log: RunLog) -> float:
    """Train with the real loop, and return the seconds until the device has finished."""
    state, device = rehearsal.state, rehearsal.context.world.device
    services = begin_bare_fit(rehearsal, steps, RATE, log)
    synchronize(device)
    started = time.perf_counter()
    run_training_loop(state, batches, services)
    synchronize(device)
    return time.perf_counter() - started


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all that was launched."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_arm(
    work: Path, device: torch.device, changes: Sequence[str], speedups: Mapping[str, Any], steps: int
) -> tuple[float, int | None]:
    """Measure one training: steps a second, and on CUDA the peak of its memory."""
    levers = replace(NO_SPEEDUPS, **speedups)
    rehearsal = load_rehearsal(work, changes=[*PLAIN, *changes], device=str(device), speedups=levers)
    with tempfile.TemporaryDirectory() as folder, rehearsal.loader() as loader:
        log, batches = RunLog(Path(folder), 0, ""), EndlessBatches(loader)
        try:
            run_steps(rehearsal, batches, UNCOUNTED_STEPS, log)
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            seconds = run_steps(rehearsal, batches, steps, log)
        finally:
            log.close()
    peak = int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None
    del rehearsal
    give_freed_memory_back()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    return steps / seconds, peak


def measure_levers(
    work: Path, device: torch.device, names: Sequence[str], steps: int, rounds: int, deadline: float
) -> dict[str, ArmFigures]:
    """Measure the arms in turns, every second round in reverse order; the name of a baseline begins with `base`."""
    sides: dict[str, tuple[tuple[str, ...], Mapping[str, Any]]] = {}
    for name in names:
        lever = LEVERS[name]
        if has_lever(device, lever):
            sides[name_baseline(lever)] = (lever.base, {})
            sides[name] = ((*lever.base, *lever.changes), lever.speedups)
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    peaks: dict[str, list[int]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name in list(sides)[:: -1 if turn % 2 else 1]:
            if time.perf_counter() > deadline:
                continue
            speed, peak = measure_arm(work, device, *sides[name], steps)
            speeds[name].append(speed)
            peaks[name] += [] if peak is None else [peak]
    return {n: ArmFigures(tuple(speeds[n]), max(peaks[n], default=None)) for n in sides if speeds[n]}


def name_baseline(lever: Lever) -> str:
    """Name the side that a lever is compared with."""
    return "base " + (",".join(lever.base) or "none")


def measure_prediction(work: Path, device: torch.device, rounds: int) -> dict[str, float]:
    """Measure images a second in sliding windows: one at a time, and as many at once as the network chooses."""
    rehearsal = load_rehearsal(work, changes=PLAIN, device=str(device))
    network = rehearsal.state.network.eval()
    name, tasks = next((n, network.list_image_tasks(n)) for n in network.spec.images)
    spec, plan = network.spec.images[name], rehearsal.context.plan.shared.images[name]
    window = plan.patch or plan.view or ()
    count = choose_window_batch(spec, window, len(tasks), device)
    image = torch.randn((spec.planes, *[2 * edge for edge in window]), device=device)
    forward = partial(run_voxel_windows, network, name, None)
    labels = ["one window at a time", *([f"{count} windows at once"] if count > 1 else [])]
    speeds: dict[str, list[float]] = {label: [] for label in labels}
    with torch.inference_mode():
        for turn in range(rounds + 1):
            # Where one window at a time is chosen there is only one side.
            for label, windows in zip(speeds, (1, count), strict=False):
                synchronize(device)
                started = time.perf_counter()
                blend_windows(forward, image, window, 0.0, windows)
                synchronize(device)
                # The first turn warms up.
                speeds[label] += [1 / (time.perf_counter() - started)] if turn else []
    return {label: median(values) for label, values in speeds.items()}


def has_lever(device: torch.device, lever: Lever) -> bool:
    """Whether a lever exists on a device."""
    return not lever.devices or device.type in lever.devices


def make_lever_document(name: str, device: torch.device, figures: Mapping[str, ArmFigures]) -> dict[str, Any]:
    """Describe one lever: its speed, its gain in each round, and its memory against the baseline's."""
    if not has_lever(device, LEVERS[name]):
        return {"lever": name, "result": ABSENT}
    base = figures.get(name_baseline(LEVERS[name]))
    own = figures.get(name)
    if base is None or own is None:
        return {"lever": name, "result": LATE}
    gains = [a / b for a, b in zip(own.steps_per_second, base.steps_per_second, strict=False)]
    return {
        "lever": name,
        "steps_per_second": median(own.steps_per_second),
        "baseline_steps_per_second": median(base.steps_per_second),
        "gain": median(gains),
        "lowest": min(gains),
        "highest": max(gains),
        "peak_bytes": own.peak,
        "baseline_peak_bytes": base.peak,
    }


def format_lever(row: Mapping[str, Any]) -> str:
    """Format one line of text."""
    if "result" in row:
        return f"{row['lever']}: {row['result']}"
    peak = row["peak_bytes"]
    memory = (
        f"; peak {peak / 2**30:.2f} GiB, {row['baseline_peak_bytes'] / 2**30:.2f} without" if peak else ""
    )
    return (
        f"{row['lever']}: {row['gain']:.2f} × ({row['lowest']:.2f} to {row['highest']:.2f}), "
        f"{row['steps_per_second']:.2f} steps/s, {row['baseline_steps_per_second']:.2f} without{memory}"
    )


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", help="cpu, cuda or mps; default: the fastest available")
    parser.add_argument("--size", type=int, default=96, help="edge of the phantom in voxels")
    parser.add_argument("--steps", type=int, default=30, help="measured steps of an arm and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=7.0, help="no arm begins after so many minutes")
    parser.add_argument("--levers", default=",".join(LEVERS), help="levers to measure, e.g. copies,bf16")
    parser.add_argument("--work", type=Path, help="a prepared work folder in place of the phantom")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    chosen = parser.parse_args(arguments)
    chosen.levers = [name for name in chosen.levers.split(",") if name]
    if unknown := [name for name in chosen.levers if name not in LEVERS]:
        parser.error(f"no lever is called {unknown[0]!r}: choose from {', '.join(LEVERS)}")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure every lever and the prediction, and print a line for each."""
    chosen = parse_arguments(arguments)
    deadline = time.perf_counter() + 60 * chosen.minutes
    device = choose_device(chosen.device)
    # As in a training.
    torch.backends.cudnn.deterministic = True
    with nullcontext(chosen.work) if chosen.work else make_phantom_work(12, chosen.size) as work:
        figures = measure_levers(work, device, chosen.levers, chosen.steps, chosen.rounds, deadline)
        prediction = measure_prediction(work, device, chosen.rounds)
    rows = [make_lever_document(name, device, figures) for name in chosen.levers]
    if chosen.json:
        sides = {name: asdict(side) for name, side in figures.items()}
        content = {"device": str(device), "levers": rows, "sides": sides, "images_per_second": prediction}
        print(json.dumps(content, indent=1))
        return
    print(f"{device}, {chosen.steps} steps, {chosen.rounds} rounds")
    for row in rows:
        print(format_lever(row))
    for label, speed in prediction.items():
        print(f"prediction, {label}: {speed:.2f} images/s")


if __name__ == "__main__":
    main()
