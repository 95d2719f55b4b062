"""Time saved by keeping freed memory for the next step (`training.freed_memory`): at most 0.95 × the time without.

    python benchmarks/freed_memory.py [--size 64] [--steps 12] [--rounds 7] [--threads N] [--json]

Forward and backward of a 3D network with a voxel task and two pooled ones on the CPU, batch 2, in the precision a plan
would choose, then a forward pass alone. Each side is a process of its own, in turns: what one has mapped stays mapped.
The peak of each is printed beside.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from statistics import median

import torch

from _measure import parse_options, print_and_exit, summarize_ratio
from polytask.model.building_blocks import no_cut
from polytask.model.cost_setting import CostSetting, make_cost_network, make_cost_tasks, make_noise_inputs
from polytask.model.network import Network
from polytask.plan.precision_probe import probe_precision
from polytask.training.freed_memory import keep_freed_memory

BOUND = 0.95
UNTIMED_STEPS = 2
LEARNS_BY_WORK = {"training step": True, "prediction": False}


def time_step(network: Network, inputs: object, precision: str, learn: bool) -> float:
    """Measure the seconds of a forward pass, and of the backward pass if `learn`."""
    started = time.perf_counter()
    with torch.set_grad_enabled(learn), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        outputs = network(inputs, no_cut)  # type: ignore[arg-type]
    if learn:
        lists = [o if isinstance(o, list) else [o] for o in outputs.values()]
        torch.stack([o.float().square().mean() for many in lists for o in many]).sum().backward()
        network.zero_grad(set_to_none=True)
    return time.perf_counter() - started


def run_one_side(side: str, size: int, steps: int, threads: int) -> None:
    """Measure one side and print its median seconds and its peak memory in MiB."""
    if side == "kept":
        keep_freed_memory()
    torch.set_num_threads(threads)
    precision = probe_precision("cpu")[0]
    setting = CostSetting("one-voxel", 3, size, precision=precision)
    inputs, network = make_noise_inputs(setting), make_cost_network(setting, make_cost_tasks(setting), "hard")
    measured: dict[str, object] = {"precision": precision}
    for what, learn in LEARNS_BY_WORK.items():
        seconds = [time_step(network, inputs, precision, learn) for _ in range(UNTIMED_STEPS + steps)]
        measured[what] = median(seconds[UNTIMED_STEPS:])
    measured["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(measured))


def main() -> None:
    """Measure both sides and print the ratios."""
    chosen = parse_options(__doc__, rounds=7, size=64, steps=12, inside="")
    if chosen.inside:
        run_one_side(chosen.inside, chosen.size, chosen.steps, chosen.threads)
        return
    numbers = ["--size", chosen.size, "--steps", chosen.steps, "--threads", chosen.threads]

    def side(name: str) -> dict[str, float]:
        command = [sys.executable, __file__, "--inside", name, *map(str, numbers)]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))

    turns = [(side("kept"), side("given back")) for _ in range(chosen.rounds)]
    ratios = [
        summarize_ratio(f"{w}: memory kept / given back", [a[w] / b[w] for a, b in turns], BOUND)
        for w in LEARNS_BY_WORK
    ]
    peaks = [f"{median(one):.0f}" for one in zip(*((a["peak"], b["peak"]) for a, b in turns), strict=True)]
    details = {"precision": turns[0][0]["precision"], "threads": chosen.threads}
    print_and_exit(ratios, chosen.json, {**details, "peak MiB, kept and given back": " ".join(peaks)})


if __name__ == "__main__":
    main()
