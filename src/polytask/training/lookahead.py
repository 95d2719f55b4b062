"""Task affinity by looking one step ahead: what a step for one task does to the losses of the others.

The measure of TAG (Fifty et al., "Efficiently Identifying Task Groupings for Multi-Task Learning", NeurIPS 2021). The
affinity of task i onto task j is 1 − Lⱼ(after a step on the gradient of Lᵢ) / Lⱼ(before), on the same samples, where
the step changes the shared weights only. It is positive if learning i also lowers the loss of j.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil, isfinite
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer

from polytask.balance.backward_passes import compute_task_gradients
from polytask.documents.json_reader import read_json_lines
from polytask.prepare.batch import Batch
from polytask.tasks.heads_and_losses import make_autocast
from polytask.training.distributed import World
from polytask.training.losses_after_step import recompute_losses
from polytask.training.run_log import (
    AFFINITY_SECTION,
    LOOKAHEAD_SECTION,
    RUN_LOG_FILE,
    RunLog,
    is_log_entry,
)
from polytask.training.state import FitState
from polytask.training.step import PlacedBatch, count_known_targets, place_batch

MEASURED_IN = "float32"
"""Precision of the losses before and after: their difference is small, and bf16 would round it away."""


def measure_affinities(
    state: FitState,
    batches: Sequence[Batch | PlacedBatch],
    world: World,
    rate: float,
    precision: str,
    clip: float,
) -> dict[str, float]:
    """Measure the affinities of the tasks that are present in the batches of a step, before that step.

    The step for a task is its part of the optimizer's step under equal weights: its loss divided by the number of
    tasks, clipped as the whole step is, and divided by the roots of Adam's second moments where they are used. Nothing
    is changed: weights are put back, and neither the criteria nor the balancing rule nor the optimizer notice.

    Returns:
        "I J" → affinity of I onto J; also of each task onto itself. Pairs with an absent task, or with a loss that is 0
        or not finite, are left out.
    """
    shared = [*state.balancer.trunk, *state.balancer.joint]
    placed = [b if isinstance(b, PlacedBatch) else place_batch(state, b, world.device) for b in batches]
    counts, _ = count_known_targets(state, placed, world)
    present = {n: c for n, c in zip(state.network.tasks, counts.sum(0), strict=True) if c > 0}
    gradients = _compute_gradients(state, placed, present, world, precision)
    before = recompute_losses(state, placed, present, world, MEASURED_IN)
    kept = [parameter.detach().clone() for parameter in shared]
    affinities: dict[str, float] = {}
    try:
        for source, of_parameters in gradients.items():
            _step_for_task(state.optimizer, dict(zip(shared, of_parameters, strict=True)), rate, clip)
            after = recompute_losses(state, placed, present, world, MEASURED_IN)
            for target, loss in before.items():
                change = 1 - after[target] / loss if loss > 0 else float("nan")
                if isfinite(change):
                    affinities[f"{source} {target}"] = change
            _put_back(shared, kept)
    finally:
        _put_back(shared, kept)
        # The step that follows draws the dropout masks that it would have drawn.
        torch.manual_seed(torch.initial_seed())
    return affinities


@torch.no_grad()
def _put_back(shared: Sequence[Tensor], kept: Sequence[Tensor]) -> None:
    for parameter, value in zip(shared, kept, strict=True):
        parameter.copy_(value)


def _compute_gradients(
    state: FitState,
    placed: Sequence[PlacedBatch],
    present: Mapping[str, Tensor],
    world: World,
    precision: str,
) -> dict[str, list[Tensor]]:
    """Compute task → gradients of its part of the loss at the shared weights, over all batches and processes."""
    shared = [*state.balancer.trunk, *state.balancer.joint]
    sums = {name: [torch.zeros_like(p) for p in shared] for name in present}
    torch.manual_seed(torch.initial_seed())
    state.criteria.eval()  # else a risk-set buffer would remember these scores
    for item in placed:
        with make_autocast(precision, world.device):
            outputs = state.network(item.batch)
        losses = {
            name: state.criteria[name](outputs[name], *item.targets[name])[0]
            / count
            / len(state.network.tasks)
            for name, count in present.items()
        }
        for place, by_task in enumerate(compute_task_gradients(losses, shared, {})):
            for name, gradient in by_task.items():
                sums[name][place] += gradient
    state.criteria.train()
    return {name: [world.total(g) for g in gradients] for name, gradients in sums.items()}


@torch.no_grad()
def _step_for_task(
    optimizer: Optimizer, gradients: Mapping[Tensor, Tensor], rate: float, clip: float
) -> None:
    """Take the step that the optimizer would take on these gradients alone, without its momentum."""
    norm = torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients.values()]))
    scale = min(1.0, clip / max(float(norm), 1e-12)) if clip > 0 else 1.0
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter not in gradients:
                continue
            direction = gradients[parameter] * scale
            known = optimizer.state.get(parameter, {})
            if "exp_avg_sq" in known:
                correction = 1 - group["betas"][1] ** float(known["step"])
                direction = direction / ((known["exp_avg_sq"] / correction).sqrt() + group["eps"])
            parameter.sub_(direction, alpha=rate * group["factor"])


class AffinityMeter:
    """Measures the affinities of a network's tasks in so few steps that it takes at most a share of the time.

    The first look is due when that share of the steps so far pays for a step of every task. Each look is timed beside
    the step that it precedes, and the next one waits until it is paid for. The log keeps when that is, also when a
    killed run goes back to an earlier checkpoint: so it looks at the same steps as a run that was never killed.

    Args:
        share: of the training time. next_steps: step of a look → step of the next one, as the log already has it.
        clock: returns seconds; tests bring their own.
    """

    def __init__(
        self,
        share: float,
        state: FitState,
        world: World,
        log: RunLog | None,
        next_steps: Mapping[int, int],
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.share, self.state, self.world = share, state, world
        self.log, self.next_steps, self.clock = log, dict(next_steps), clock
        due = find_first_look(len(state.balancer.tasks), share)
        while due < state.step and self.next_steps.get(due, 0) > due:
            due = self.next_steps[due]
        self.due = world.share_number(max(due, state.step))
        self._look_seconds, self._looked_at = 0.0, 0.0

    def is_due(self) -> bool:
        """Whether affinities are measured before the next step."""
        return self.state.step >= self.due

    def look_ahead(
        self, batches: Sequence[Batch | PlacedBatch], rate: float, precision: str, clip: float
    ) -> None:
        """Measure the affinities on the batches of the next step and write them into the log."""
        started = self.clock()
        affinities = measure_affinities(self.state, batches, self.world, rate, precision, clip)
        if self.log and affinities:
            self.log.write(self.state.step + 1, {AFFINITY_SECTION: affinities})
        self._looked_at = self.clock()
        self._look_seconds = self._looked_at - started

    def plan_next_look(self) -> None:
        """Plan the next look, once the step after a look is done."""
        step = self.state.step - 1
        if step not in self.next_steps:
            cost = self._look_seconds / max(self.clock() - self._looked_at, 1e-9)
            self.next_steps[step] = step + max(1, ceil(cost / self.share))
            if self.log:
                line = {"cost": cost, "next": self.next_steps[step]}
                self.log.write(step + 1, {LOOKAHEAD_SECTION: line})
        self.due = self.world.share_number(self.next_steps[step])


def find_first_look(tasks: int, share: float) -> int:
    """Find the step before which affinities are measured for the first time."""
    return ceil(tasks / share)


def make_affinity_meter(
    share: float, state: FitState, world: World, log: RunLog | None, folder: Path, network: str
) -> AffinityMeter | None:
    """Make what measures affinities; None where it is switched off, or fewer than two tasks share any weights."""
    shares_weights = bool(state.balancer.trunk or state.balancer.joint)
    if share <= 0 or len(state.balancer.tasks) < 2 or not shares_weights:
        return None
    return AffinityMeter(share, state, world, log, read_next_looks(folder, network) if world.chief else {})


def read_next_looks(folder: Path, network: str) -> dict[int, int]:
    """Read from the log of a run when one of its networks looked ahead: step of a look → step of the next one."""
    if not (folder / RUN_LOG_FILE).exists():
        return {}
    looks = {}
    for _, line in read_json_lines(folder / RUN_LOG_FILE, "the log of a run"):
        if line is None or not is_log_entry(line) or line.get("network", "") != network:
            continue
        following = line.get(LOOKAHEAD_SECTION, {}).get("next")
        if type(following) is int and line["step"] > 0:
            looks[line["step"] - 1] = following
    return looks
