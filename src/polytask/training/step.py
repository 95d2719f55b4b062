"""One optimizer step: what every task lost, and what the step did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from polytask.errors import PolytaskError
from polytask.model.autocast import make_autocast
from polytask.model.network import Network
from polytask.prepare.batch import Batch
from polytask.tasks.target import Target
from polytask.training.balanced_backward import BalancedBackward
from polytask.training.distributed import World
from polytask.training.flat_targets import flatten_target
from polytask.training.gradient_log import GradientSummary
from polytask.training.state import FitState

MAX_SKIPPED_IN_A_ROW = 20
"""The run stops after this many skipped steps in a row."""
BatchTargets = Mapping[str, tuple[Target, list[str]]]
RecordLap = Callable[[str], None]
"""Called with the name of each part of a step when that part is done."""


@dataclass(frozen=True)
class StepResult:
    """What one step did. It belongs to this step alone: what must survive a resume stands in `FitState`.

    Args:
        losses: mean loss of each task that was present.
        norm: length of the gradient before it was clipped.
        together: `[T, T]`, in how many batches some sample had both tasks known.
        gradient_summary: of the tasks' gradients; None if this step is not logged.
        skip_message: why the weights stayed as they were; empty if the step counts.
    """

    losses: dict[str, float]
    norm: float
    together: list[list[float]]
    gradient_summary: GradientSummary | None
    skip_message: str = ""


def ignore_lap(part: str) -> None:
    """Record no times: the default of `take_step`."""


def take_step(
    state: FitState,
    batches: Sequence[Batch],
    world: World,
    rate: float,
    precision: str,
    clip: float,
    lap: RecordLap = ignore_lap,
) -> StepResult:
    """Accumulate over `batches`, balance the tasks, clip, update.

    Counts come first: the mean of a task divides by its count over all
    processes and micro-batches. A task whose count is zero is absent: no loss, no gradient, no change of state. The
    step is Σ weight · loss / T over the tasks that are present; the balancing rule gives the weights, for each
    micro-batch by itself.
    """
    network, tasks = state.network, state.network.tasks
    turn = BalancedBackward.of(state.balancer, state.step, world)
    targets = [
        {
            name: flatten_target(
                batch, task, _reads_patches(network, batch, name), state.structures.get(name)
            )
            for name, task in tasks.items()
        }
        for batch in batches
    ]
    # All processes must know the total counts before the first backward pass: each loss is divided by them.
    rows, together = _count_known_targets(state, batches, targets, world)
    by_batch = [dict(zip(tasks, row, strict=True)) for row in rows.tolist()]
    of_step = {name: sum(row[name] for row in by_batch) for name in tasks}
    present = {n: count for n, count in zip(tasks, rows.sum(0), strict=True) if of_step[n] > 0}
    losses = {name: rows.new_zeros(()) for name in tasks}
    lap("targets")
    for batch, target, own in zip(batches, targets, by_batch, strict=True):
        with make_autocast(precision, world.device):
            outputs = network(batch, turn.cut())
        lap("forward")
        parts = {}
        for name, count in present.items():
            loss, _ = state.criteria[name](outputs[name], *target[name])
            losses[name] = losses[name] + loss.detach() / count
            parts[name] = loss / count
            lap(f"loss {name}")
        turn.backward(parts, {n: of_step[n] / own[n] if own[n] > 0 else 0.0 for n in parts})
        lap("backward")
    means = world.total(torch.stack([losses[n] for n in tasks]))
    parameters = [p for p in network.parameters() if p.requires_grad]
    world.add_gradients(parameters)
    # The norm is wanted for the log even when nothing is clipped: an infinite limit changes no gradient.
    norm = clip_grad_norm_(parameters, clip if clip > 0 else float("inf"))
    # One transfer to the CPU for all numbers: each one alone would wait for the device.
    *found, length = torch.cat([means, norm.reshape(1)]).tolist()
    values = dict(zip(tasks, found, strict=True))
    gradient_summary, skip_message = None, ""
    if all(map(isfinite, [*found, length])):
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        state.optimizer.step()
        state.in_a_row = 0
        if turn.learns_after_step:
            turn.after(
                {n: values[n] for n in present},
                _recompute_losses(state, batches, targets, present, world, precision),
            )
        gradient_summary = turn.commit_step()
    else:
        skip_message = _record_skipped_step(state, values, batches)
    for name in tasks:
        # After a skipped step too: the scores that a risk-set buffer holds back must not wait for the next
        # step.
        state.criteria[name].update()
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    lap("optimiser")
    losses_of_present = {n: v for n, v in values.items() if n in present}
    return StepResult(losses_of_present, length, together, gradient_summary, skip_message)


def _count_known_targets(
    state: FitState, batches: Sequence[Batch], targets: Sequence[BatchTargets], world: World
) -> tuple[Tensor, list[list[float]]]:
    """Count what is known, over all processes.

    Returns the counts `[batches, tasks]`, and `[tasks, tasks]`: in how many batches some sample has both tasks known.
    """
    tasks = list(state.network.tasks)
    rows = [[state.criteria[n].count(*target[n]).float() for n in tasks] for target in targets]
    counts = torch.stack([torch.stack(row) for row in rows])
    together = counts.new_zeros(len(tasks), len(tasks))
    for batch in batches:
        size = len(batch.subjects)
        known = torch.stack([batch.targets[n].known.reshape(size, -1).any(1) for n in tasks]).to(counts)
        together += (known @ known.T > 0).to(counts)
    message = world.total(torch.cat([counts.flatten(), together.flatten()]))
    totals = message[: counts.numel()].view_as(counts)
    return totals, message[counts.numel() :].view_as(together).tolist()


@torch.no_grad()
def _recompute_losses(
    state: FitState,
    batches: Sequence[Batch],
    targets: Sequence[BatchTargets],
    present: Mapping[str, Tensor],
    world: World,
    precision: str,
) -> dict[str, float]:
    """Compute the losses of the same samples after the step, under the same dropout. Criteria do not remember these
    scores."""
    # The seed was set before the step: setting it again repeats the dropout masks.
    torch.manual_seed(torch.initial_seed())
    state.criteria.eval()
    total = torch.zeros(len(present), device=world.device)
    for batch, target in zip(batches, targets, strict=True):
        with make_autocast(precision, world.device):
            outputs = state.network(batch)
        total += torch.stack([state.criteria[n](outputs[n], *target[n])[0] / c for n, c in present.items()])
    state.criteria.train()
    return dict(zip(present, world.total(total).tolist(), strict=True))


def _record_skipped_step(state: FitState, losses: dict[str, float], batches: Sequence[Batch]) -> str:
    """Count a skipped step and say why it was skipped; raise if too many in a row were."""
    state.skipped += 1
    state.in_a_row += 1
    bad = [n for n, v in losses.items() if v != v or abs(v) == float("inf")]
    subjects = sorted({s for b in batches for s in b.subjects})
    message = (
        f"step {state.step}: {'loss of ' + ', '.join(bad) if bad else 'gradient'} is not finite; "
        f"subjects {', '.join(subjects)}; step skipped ({state.skipped} so far)"
    )
    if state.in_a_row >= MAX_SKIPPED_IN_A_ROW:
        raise PolytaskError(
            f"{message}; {state.in_a_row} in a row: stopped. Lower training.rate, set training.precision to "
            "float32, or look at these subjects with `polytask check`"
        )
    return message


def _reads_patches(network: Network, batch: Batch, task: str) -> bool:
    image = network.spec.voxel_image.get(task)
    return image is not None and image in batch.patch
