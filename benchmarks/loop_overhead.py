"""Loop: our fit loop against a bare torch loop with the same network, data, losses and optimizer. At most 1.03 ×.

    python benchmarks/loop_overhead.py [--size 64] [--steps 3] [--rounds 20] [--threads N] [--clock wall|cpu] [--json]

3D, batch 2, all tasks of a phantom of one visit, the precision the plan chose; both sides see the same cached batches.
Ours is `polytask.training.loop.run_training_loop` with log, progress reporter and everything that a step checks: known
targets, counts, skipped steps, signals, the rate. The bare loop is forward, losses, backward, clip, step, with the
targets flattened beforehand. Checkpoints and the evaluation on tune are left out on both sides: they
come once an epoch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

from _measure import (
    CLOCKS,
    begin_bare_fit,
    make_phantom_work,
    parse_options,
    print_and_exit,
    summarize_ratio,
    time_in_turns,
)
from polytask.prepare.batch import Batch
from polytask.tasks.heads_and_losses import make_autocast
from polytask.training.loop import run_training_loop
from polytask.training.rehearsal import Rehearsal, load_rehearsal
from polytask.training.run_log import RunLog
from polytask.training.step import flatten_target

BOUND = 1.03
RATE = 1e-6


class RepeatedBatches:
    """The same batches again and again."""

    def __init__(self, batches: list[Batch]):
        self.kept = batches

    def batches(self, epoch: int, start_step: int = 0) -> Iterator[Batch]:
        """Repeat the batches without end, as `polytask.training.loop.BatchSource` wants it."""
        return islice(cycle(self.kept), start_step, None)


def run_our_loop(rehearsal: Rehearsal, batches: list[Batch], steps: int, log: RunLog) -> None:
    """Train one epoch of `steps` steps with our loop."""
    services = begin_bare_fit(rehearsal, steps, RATE, log)
    run_training_loop(rehearsal.state, RepeatedBatches(batches), services)


def run_bare_loop(
    rehearsal: Rehearsal, batches: list[Batch], targets: list[dict[str, tuple]], steps: int
) -> None:
    """Train the same steps with a loop as one would write it by hand for these tasks."""
    import torch  # not before _measure has set how its threads wait

    network, criteria, optimizer = (
        rehearsal.state.network,
        rehearsal.state.criteria,
        rehearsal.state.optimizer,
    )
    settings, device = rehearsal.context.plan.shared.training, rehearsal.context.world.device
    network.train()
    for batch, target in islice(cycle(zip(batches, targets, strict=True)), steps):
        optimizer.zero_grad(set_to_none=True)
        with make_autocast(settings.precision, device):
            outputs = network(batch)
        total = torch.zeros(())
        for name, flat in target.items():
            loss, count = criteria[name](outputs[name], *flat)
            total = total + loss / count.clamp_min(1)
        (total / len(target)).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
        optimizer.step()
        for name in target:
            criteria[name].update()


def main() -> None:
    """Measure both loops and print the ratio."""
    chosen = parse_options(__doc__, rounds=20, size=64, steps=3)
    settings = ["training.batch=2", f"training.threads={chosen.threads}"]
    with (
        make_phantom_work(12, chosen.size, settings=settings) as work,
        tempfile.TemporaryDirectory() as folder,
    ):
        mine, hand = load_rehearsal(work, device="cpu"), load_rehearsal(work, device="cpu")
        batches = mine.batches(chosen.steps)
        targets = [
            {
                n: flatten_target(b, t, structures=hand.state.structures.get(n))
                for n, t in hand.state.network.tasks.items()
            }
            for b in batches
        ]
        log = RunLog(Path(folder), 0, "")
        seconds = time_in_turns(
            {
                "ours": lambda: run_our_loop(mine, batches, chosen.steps, log),
                "bare": lambda: run_bare_loop(hand, batches, targets, chosen.steps),
            },
            chosen.rounds,
            CLOCKS[chosen.clock],
        )
        log.close()
        settings_used = mine.context.plan.shared.training
        ratios = [a / b for a, b in zip(seconds["ours"], seconds["bare"], strict=True)]
        per_step = {side: sorted(s)[len(s) // 2] / chosen.steps for side, s in seconds.items()}
        details = {
            "seconds per step": {k: round(v, 4) for k, v in per_step.items()},
            "view": mine.context.plan.shared.images["scan"].view,
            "tasks": list(mine.state.network.tasks),
            "precision": settings_used.precision,
            "threads": settings_used.threads,
            "clock": chosen.clock,
        }
    print_and_exit([summarize_ratio("fit loop / bare loop", ratios, BOUND)], chosen.json, details)


if __name__ == "__main__":
    main()
