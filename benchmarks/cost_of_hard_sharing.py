"""Cost of sharing: one `hard` network with a voxel task and four visit tasks, against each task alone, per step.

    python benchmarks/cost_of_hard_sharing.py [--size 64] [--rounds 12] [--threads N] [--clock wall|cpu] [--json]

At most 1.10 × the voxel task alone; and the five `single` networks together (sum of five steps) take at least 2 × as
long. 3D, batch 2, the precision the plan chose, cached batches; the six networks take turns in one process.
"""

from __future__ import annotations

from collections.abc import Callable

from _measure import CLOCKS, make_phantom_work, parse_options, print_and_exit, summarize_ratio, time_in_turns
from polytask.prepare.batch import Batch
from polytask.training.rehearsal import Rehearsal, load_rehearsal

VOXEL = "lesion"
VISIT = ("grade", "pattern", "findings", "diameter")
MAX_COST_RATIO, MIN_SAVING_RATIO = 1.10, 2.0


def make_training_step(rehearsal: Rehearsal, batch: Batch) -> Callable[[], None]:
    """Make a function that takes one training step."""
    return lambda: rehearsal.step(batch)


def main() -> None:
    """Measure the costs and print the ratios."""
    chosen = parse_options(__doc__, rounds=12, size=64)
    tasks = (VOXEL, *VISIT)
    settings = ["training.batch=2", f"training.threads={chosen.threads}"]
    with make_phantom_work(12, chosen.size, tasks=tasks, settings=settings) as work:
        networks = {name: load_rehearsal(work, tasks=[name], device="cpu") for name in tasks}
        networks["hard"] = load_rehearsal(work, device="cpu")
        batch = next(
            b for b in networks["hard"].batches(6) if all(bool(t.known.any()) for t in b.targets.values())
        )
        sides = {name: make_training_step(network, batch) for name, network in networks.items()}
        seconds = time_in_turns(sides, chosen.rounds, CLOCKS[chosen.clock])
        turns = range(chosen.rounds)
        alone = [seconds["hard"][i] / seconds[VOXEL][i] for i in turns]
        apart = [sum(seconds[name][i] for name in tasks) / seconds["hard"][i] for i in turns]
        settings_used = networks["hard"].context.plan.shared.training
        image = networks["hard"].context.plan.shared.images["scan"]
        details = {
            "seconds per step": {k: round(sorted(v)[len(v) // 2], 4) for k, v in seconds.items()},
            "view": image.view,
            "widths": image.widths,
            "precision": settings_used.precision,
            "threads": settings_used.threads,
            "clock": chosen.clock,
        }
    ratios = [
        summarize_ratio("hard / the voxel task alone", alone, MAX_COST_RATIO),
        summarize_ratio("five single networks / hard", apart, MIN_SAVING_RATIO, "at least"),
    ]
    print_and_exit(ratios, chosen.json, details)


if __name__ == "__main__":
    main()
