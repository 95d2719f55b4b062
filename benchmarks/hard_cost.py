"""Cost of sharing: one `hard` network with a voxel task and four visit tasks, against each task alone, per step.

    python benchmarks/hard_cost.py [--size 64] [--rounds 12] [--threads N] [--clock wall|cpu] [--json]

At most 1.10 × the voxel task alone; and the five `single` networks together (sum of five steps) take at least 2 × as
long. 3D, batch 2, the precision the plan chose, cached batches; the six networks take turns in one process.
"""

from __future__ import annotations

from collections.abc import Callable

from _measure import CLOCKS, finish, in_turns, options, phantom_work, ratio
from polytask.prepare.batch import Batch
from polytask.training.rehearsal import Rehearsal, rehearse

VOXEL = "lesion"
VISIT = ("grade", "pattern", "findings", "diameter")
DEARER, CHEAPER = 1.10, 2.0


def side(rehearsal: Rehearsal, batch: Batch) -> Callable[[], None]:
    """Make a function that takes one training step."""
    return lambda: rehearsal.step(batch)


def main() -> None:
    """Measure the costs and print the ratios."""
    chosen = options(__doc__, rounds=12, size=64)
    tasks = (VOXEL, *VISIT)
    settings = ["training.batch=2", f"training.threads={chosen.threads}"]
    with phantom_work(12, chosen.size, tasks=tasks, settings=settings) as work:
        networks = {name: rehearse(work, tasks=[name], device="cpu") for name in tasks}
        networks["hard"] = rehearse(work, device="cpu")
        batch = next(
            b for b in networks["hard"].batches(6) if all(bool(t.known.any()) for t in b.targets.values())
        )
        sides = {name: side(network, batch) for name, network in networks.items()}
        seconds = in_turns(sides, chosen.rounds, CLOCKS[chosen.clock])
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
    found = [
        ratio("hard / the voxel task alone", alone, DEARER),
        ratio("five single networks / hard", apart, CHEAPER, "at least"),
    ]
    finish(found, chosen.json, details)


if __name__ == "__main__":
    main()
