"""Memory: resident size of training with 500 phantom cases against 50. At most 1.10 ×.

    python benchmarks/training_memory.py [--few 50] [--many 500] [--steps 60] [--size 32] [--rounds 3] [--json]

Each side is a training in a process of its own (2D, all tasks, batch 8, the same network): several epochs of the small
cohort, and as many steps of the large one. What counts is what the process alone holds after the last step (unique set
size): pages of the memory-mapped store belong to the system, which takes them back when it likes. The resident size
with them is printed beside it, as is its peak.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import psutil

from _measure import make_phantom_work, parse_options, print_and_exit, summarize_ratio

BOUND = 1.10
MIB = 1024**2


def train_here(work: Path, steps: int) -> None:
    """Train and print the memory that this process holds, in MiB."""
    from polytask.training.rehearsal import load_rehearsal

    rehearsal = load_rehearsal(work, device="cpu")
    done = 0
    with rehearsal.loader() as loader:
        for epoch in range(steps):
            for batch in loader.batches(epoch):
                rehearsal.step(batch)
                done += 1
                if done == steps:
                    break
            if done == steps:
                break
    info = psutil.Process().memory_full_info()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    held = {"unique": info.uss, "resident": info.rss, "peak": peak}
    print(json.dumps({name: round(value / MIB, 1) for name, value in held.items()}))


def measure_process_memory(work: Path, steps: int) -> dict[str, float]:
    """Measure the memory of a training in its own process."""
    command = [sys.executable, __file__, "--inside", str(work), "--steps", str(steps)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(ran.stdout.splitlines()[-1]))


def main() -> None:
    """Measure both sizes and print the ratio."""
    chosen = parse_options(__doc__, rounds=3, few=50, many=500, steps=60, size=32, inside="")
    if chosen.inside:
        train_here(Path(chosen.inside), chosen.steps)
        return
    settings = [
        *("training.batch=8", f"training.threads={chosen.threads}", "training.workers=0"),
        *("images.scan.view=[48,48]", "images.scan.widths=[8,16,32]", "images.scan.blocks=[1,1,1]"),
        *("images.scan.strides=[[1,1],[2,2],[2,2]]", "training.precision=float32"),
    ]
    with (
        make_phantom_work(chosen.few, chosen.size, dims=2, settings=settings) as few,
        make_phantom_work(chosen.many, chosen.size, dims=2, settings=settings) as many,
    ):
        memory_pairs = [
            (measure_process_memory(few, chosen.steps), measure_process_memory(many, chosen.steps))
            for _ in range(chosen.rounds)
        ]
    details = {
        f"MiB with {chosen.few} cases": memory_pairs[0][0],
        f"MiB with {chosen.many} cases": memory_pairs[0][1],
    }
    ratio = summarize_ratio(
        f"memory of training, {chosen.many} / {chosen.few} cases",
        [b["unique"] / a["unique"] for a, b in memory_pairs],
        BOUND,
    )
    print_and_exit([ratio], chosen.json, details)


if __name__ == "__main__":
    main()
