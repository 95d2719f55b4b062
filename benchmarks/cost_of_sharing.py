"""Cost of sharing at three tasks: `hard` against three networks, `mtan` and `ctan` against `hard`, per step.

    python benchmarks/cost_of_sharing.py [--size 64] [--rounds 12] [--threads N] [--clock wall|cpu] [--json]

One voxel task and two pooled ones: `mtan` at most 1.5 ×, `ctan` at most 1.6 × `hard`, three single networks at least
1.8 × `hard`. Three voxel tasks: at most 1.3 ×, at least 1.35 ×. 3D, batch 2, the precision a plan would choose, forward
and backward; the networks take turns in one process. `polytask bench models` prints every sharing.
"""

from __future__ import annotations

import torch

from _measure import CLOCKS, parse_options, print_and_exit, summarize_ratio
from polytask.model.cost_setting import CostSetting
from polytask.model.sharing_costs import measure_sharing_costs
from polytask.plan.precision_probe import probe_precision
from polytask.training.freed_memory import keep_freed_memory

SHARINGS = ("mtan", "ctan")
BOUNDS = {"one-voxel": (1.5, 1.6, 1.8), "all-voxel": (1.3, 1.3, 1.35)}
"""Mix of tasks → at most for `mtan` and `ctan`, at least for the single networks; as multiples of `hard`."""
WORDS = {"one-voxel": "1 voxel + 2 pooled tasks", "all-voxel": "3 voxel tasks"}


def main() -> None:
    """Measure the costs and print the ratios."""
    chosen = parse_options(__doc__, rounds=12, size=64)
    torch.set_num_threads(chosen.threads)
    keep_freed_memory()
    precision = probe_precision("cpu")[0]
    ratios, details = [], {"precision": precision, "threads": chosen.threads, "clock": chosen.clock}
    for mix, (mtan, ctan, singles) in BOUNDS.items():
        setting = CostSetting(mix, 3, chosen.size, precision=precision)
        costs = measure_sharing_costs(setting, SHARINGS, ("light",), chosen.rounds, CLOCKS[chosen.clock])
        by = {cost.sharing: cost for cost in costs}
        for sharing, bound, wanted in (
            ("mtan", mtan, "at most"),
            ("ctan", ctan, "at most"),
            ("single", singles, "at least"),
        ):
            name = "three single networks" if sharing == "single" else sharing
            pairs = zip(by[sharing].seconds, by["hard"].seconds, strict=True)
            ratios.append(
                summarize_ratio(f"{WORDS[mix]}: {name} / hard", [a / b for a, b in pairs], bound, wanted)
            )
        details[WORDS[mix]] = {
            name: {
                "seconds": round(sorted(c.seconds)[len(c.seconds) // 2], 4),
                "MB": round(c.memory / 1e6, 1),
                "GFLOP": round(c.flops / 1e9, 2),
                "million parameters": round(c.parameters / 1e6, 2),
            }
            for name, c in by.items()
        }
    print_and_exit(ratios, chosen.json, details)


if __name__ == "__main__":
    main()
