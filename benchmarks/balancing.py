"""Cost of balancing: a step under a rule against the plain sum on the same network. At the cut, UPGrad by Gramian.

    python benchmarks/balancing.py [--size 64] [--rounds 9] [--threads N] [--clock wall|cpu] [--json]

At most 1.05 on `hard` with one voxel task and two pooled ones, 1.10 with three voxel tasks, 1.20 on `mtan`, 1.10 on
`ctan` when the weights are refreshed every ten steps, 1.4 for FAMO with its second forward pass. 3D, batch 2, the
precision a plan would choose, forward and backward without optimizer, which would bring every ratio nearer to 1; the
sides take turns in one process. Where TorchJD is installed, its multi-task backward (MGDA, which needs none of its
optional solvers) is measured on the same networks in the same turns, against the same plain sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor

from _measure import CLOCKS, parse_options, print_and_exit, summarize_ratio, time_in_turns
from polytask.model.cost_setting import CostSetting, make_cost_network, make_cost_tasks, make_noise_inputs
from polytask.model.network import Network, TaskOutput
from polytask.plan.plan_schema import BalancePlan, TrainingPlan
from polytask.plan.precision_probe import probe_precision
from polytask.training.balancing import BalancedBackward, Balancer
from polytask.training.distributed import World
from polytask.training.freed_memory import keep_freed_memory

WORLD = World(0, 1, torch.device("cpu"))
RENEWAL_STEPS = 10
BenchmarkSide = Callable[[], None]


def compute_mean_squares(outputs: Mapping[str, TaskOutput]) -> dict[str, Tensor]:
    """Compute the mean square of the outputs of each task."""
    lists = {t: o if isinstance(o, list) else [o] for t, o in outputs.items()}
    return {t: torch.stack([o.float().square().mean() for o in many]).sum() for t, many in lists.items()}


def make_balancer(network: Network, rule: str, every: int = 1) -> Balancer:
    """Make the balancer as a run has it, without the gradient log."""
    settings = TrainingPlan(
        batch=2,
        epochs=1,
        steps_per_epoch=100,
        precision="float32",
        threads=1,
        workers=0,
        balance=BalancePlan(rule=rule, every=every, log_every=0),
    )
    return Balancer.of(network, settings)


def take_balanced_step(
    network: Network, balance: Balancer, inputs: object, precision: str, number: int
) -> None:
    """Take a step: forward, backward, and the work of the balancing rule."""

    def forward(cut: object) -> dict[str, Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            return compute_mean_squares(network(inputs, cut))  # type: ignore[arg-type]

    passes = BalancedBackward.of(balance, number, WORLD)
    losses = forward(passes.cut())
    passes.backward(losses, dict.fromkeys(losses, 1.0))
    if passes.learns_after_step:
        with torch.no_grad():
            again = forward(passes.cut())
        passes.learn_from_step(
            {t: v.item() for t, v in losses.items()}, {t: v.item() for t, v in again.items()}
        )
    passes.commit_step()
    network.zero_grad(set_to_none=True)


def take_torchjd_step(network: Network, inputs: object, precision: str) -> None:
    """Take a step with TorchJD: the Jacobian of the shared parameters, aggregated by MGDA."""
    from torchjd.aggregation import MGDA
    from torchjd.autojac import jac_to_grad, mtl_backward

    features: list[Tensor] = []

    def views(shared: Tensor, tasks: list[str]) -> dict[str, Tensor]:
        features.append(shared.view_as(shared))  # later maps are computed from earlier ones: name the copies
        return dict.fromkeys(tasks, features[-1])

    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        losses = compute_mean_squares(network(inputs, views))  # type: ignore[arg-type]
    roles = network.roles()
    shared = [p for n, p in network.named_parameters() if roles[n] == "trunk"]
    mtl_backward(list(losses.values()), features=features, parallel_chunk_size=1)
    jac_to_grad(shared, MGDA())
    network.zero_grad(set_to_none=True)


def repeat_step(
    network: Network, rule: str, every: int, inputs: object, precision: str, times: int
) -> BenchmarkSide:
    """Make a side of the comparison: `times` steps, one after another."""
    balance = make_balancer(network, rule, every)

    def run() -> None:
        for number in range(times):
            take_balanced_step(network, balance, inputs, precision, number)

    return run


def main() -> None:
    """Measure the ratios and print them."""
    chosen = parse_options(__doc__, rounds=9, size=64)
    torch.set_num_threads(chosen.threads)
    keep_freed_memory()
    precision = probe_precision("cpu")[0]
    ratios = []
    details: dict[str, object] = {"precision": precision, "threads": chosen.threads, "clock": chosen.clock}
    for mix, sharing, rule, bound, every in (
        ("one-voxel", "hard", "upgrad", 1.05, 1),
        ("all-voxel", "hard", "upgrad", 1.10, 1),
        ("one-voxel", "mtan", "upgrad", 1.20, 1),
        ("one-voxel", "hard", "famo", 1.40, 1),
        ("one-voxel", "ctan", "upgrad", 1.10, RENEWAL_STEPS),
    ):
        setting = CostSetting(mix, 3, chosen.size, precision=precision)
        inputs, network = (
            make_noise_inputs(setting),
            make_cost_network(setting, make_cost_tasks(setting), sharing),
        )
        side = partial(repeat_step, network, inputs=inputs, precision=precision, times=every)
        sides: dict[str, BenchmarkSide] = {
            "plain": side(rule="equal", every=1),
            rule: side(rule=rule, every=every),
        }
        if sharing == "hard" and rule == "upgrad" and find_spec("torchjd"):
            sides["torchjd"] = partial(take_torchjd_step, network, inputs, precision)
        rounds = max(3, chosen.rounds // (2 if every > 1 else 1))
        seconds = time_in_turns(sides, rounds, CLOCKS[chosen.clock])
        words = f"{sharing}, {'3 voxel tasks' if mix == 'all-voxel' else '1 voxel + 2 pooled tasks'}"
        more = f" every {every} steps" if every > 1 else ""
        pairs = [b / a for a, b in zip(seconds["plain"], seconds[rule], strict=True)]
        ratios.append(summarize_ratio(f"{words}: {rule}{more} / plain sum", pairs, bound))
        if "torchjd" in sides:
            theirs = [b / a for a, b in zip(seconds["plain"], seconds["torchjd"], strict=True)]
            details[f"{words}: torchjd mtl_backward / plain sum"] = str(
                summarize_ratio("", theirs, 9e9)
            ).split(";")[0]
    print_and_exit(ratios, chosen.json, details)


if __name__ == "__main__":
    main()
