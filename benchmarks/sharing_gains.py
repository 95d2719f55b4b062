"""What sharing gains: every other preset against `single`, at the same number of steps, on strongly related tasks.

    python benchmarks/sharing_gains.py [--subjects 240] [--size 32] [--steps 300] [--arms parallel,…] [--json]

2D phantoms whose mask, grade and diameter all follow from one radius. Per task the held-out estimate of each arm and,
paired over subjects, its difference from `single` with the 95 % interval; `skill` is the same for the mean over the
tasks on the scale where chance is 0 and perfect is 1. There is no bound: the figure is reported, whatever it is.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from _measure import make_phantom_work

TASKS = ("lesion", "grade", "diameter")
BASELINE_ARM = "single"
ARMS = ("parallel", "interacted", "mtan_light", "cross_stitch", "task_tokens")
EPOCHS = 10
SETTINGS = (
    "images.scan.widths=[8,16,32]",
    "images.scan.blocks=[1,1,1]",
    "images.scan.strides=[[1,1],[2,2],[2,2]]",
    "model.embedding=32",
    "training.batch=16",
    "training.rate=0.003",
    "training.precision=float32",
    "training.workers=0",
    "training.patience=0",
    "training.tune_every=1",
)


def parse_gain_options() -> argparse.Namespace:
    """Parse the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--subjects", type=int, default=240)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=300, help="of every network, ten epochs of equal length")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seed", type=int, default=0, help="of weights and order")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="one JSON document instead of lines")
    return parser.parse_args()


def measure_gains(chosen: argparse.Namespace) -> dict[str, Any]:
    """Train all arms and return arm → comparison with `single` as plain data."""
    from polytask.evaluation import compare_runs, evaluate
    from polytask.training import train

    length = (f"training.epochs={EPOCHS}", f"training.steps_per_epoch={max(1, chosen.steps // EPOCHS)}")
    settings = (*SETTINGS, *length, f"training.threads={chosen.threads}")
    arms = [arm for arm in chosen.arms.split(",") if arm]
    with make_phantom_work(chosen.subjects, chosen.size, 2, 1, TASKS, settings) as work:
        for arm in (BASELINE_ARM, *arms):
            match = None if arm == BASELINE_ARM else BASELINE_ARM
            run = train(work, preset=arm, name=arm, seed=chosen.seed, match=match, device="cpu")
            evaluate(run.folder, device="cpu")
        return {
            arm: compare_runs(work / "runs" / arm, [work / "runs" / BASELINE_ARM])[0].as_dict()
            for arm in arms
        }


def format_gain_lines(comparisons: dict[str, Any]) -> list[str]:
    """Format a line for each arm and task."""
    text = []
    for arm, comparison in comparisons.items():
        for task, task_comparison in comparison["tasks"].items():
            mine, base = task_comparison["values"]
            words = f"{arm} {task} {task_comparison['metric']}: {mine:.3f} against {base:.3f}"
            text.append(f"{words}, difference {format_gain(task_comparison['difference'])}")
        text.append(f"{arm} mean skill: difference {format_gain(comparison['mean_skill'])}")
    return text


def format_gain(estimate: dict[str, float]) -> str:
    """Format an estimate as `+0.012 (95 % -0.003 to +0.030, n 66)`."""
    words = f"95 % {estimate['low']:+.3f} to {estimate['high']:+.3f}, n {estimate['n']}"
    return f"{estimate['estimate']:+.3f} ({words})"


def main() -> None:
    """Train all arms and print their gains."""
    chosen = parse_gain_options()
    comparisons = measure_gains(chosen)
    if chosen.json:
        keys = ("tasks", "mean_skill")
        print(json.dumps({arm: {k: c[k] for k in keys} for arm, c in comparisons.items()}, indent=1))
        return
    print(
        f"{chosen.subjects} phantoms {chosen.size}² in 2D, {chosen.steps} steps of each network, one fold and seed"
    )
    print("\n".join(format_gain_lines(comparisons)))


if __name__ == "__main__":
    main()
