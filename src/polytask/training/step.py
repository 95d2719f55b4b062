"""One optimizer step, from batches to new weights.

The order: flat targets and counts, forward passes, losses, weighted backward passes, clipping, optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.prepare.batch import Batch
from polytask.tasks.heads_and_losses import make_autocast
from polytask.tasks.target import Target
from polytask.tasks.task import Task
from polytask.training.balancing import BalancedBackward
from polytask.training.distributed import World
from polytask.training.gradient_log import GradientSummary
from polytask.training.overlapped_sum import OverlappedSum
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

    Counts come first: the mean of a task divides by its count over all processes and micro-batches. A task whose count
    is zero is absent: no loss, no gradient, no change of state. The step is Σ weight · loss / T over the tasks that are
    present; the balancing rule gives the weights, for each micro-batch by itself.
    """
    network, tasks = state.network, state.network.tasks
    passes = BalancedBackward.of(state.balancer, state.step, world)
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
    counts, together = _count_known_targets(state, batches, targets, world)
    counts_by_batch = [dict(zip(tasks, row, strict=True)) for row in counts.tolist()]
    step_count = {name: sum(row[name] for row in counts_by_batch) for name in tasks}
    present = {n: count for n, count in zip(tasks, counts.sum(0), strict=True) if step_count[n] > 0}
    losses = {name: counts.new_zeros(()) for name in tasks}
    parameters = [p for p in network.parameters() if p.requires_grad]
    overlapped_sum = None
    lap("targets")
    for number, (batch, batch_targets, batch_count) in enumerate(
        zip(batches, targets, counts_by_batch, strict=True), 1
    ):
        with make_autocast(precision, world.device):
            outputs = network(batch, passes.cut())
        lap("forward")
        scaled_losses = {}
        for name, count in present.items():
            loss, _ = state.criteria[name](outputs[name], *batch_targets[name])
            losses[name] = losses[name] + loss.detach() / count
            scaled_losses[name] = loss / count
            lap(f"loss {name}")
        if world.size > 1 and number == len(batches) and passes.has_single_pass:
            overlapped_sum = OverlappedSum(world, parameters)
        passes.backward(
            scaled_losses,
            {n: step_count[n] / batch_count[n] if batch_count[n] > 0 else 0.0 for n in scaled_losses},
        )
        lap("backward")
    means = torch.stack([losses[n] for n in tasks])
    if world.size > 1:
        # Messages must have the same order in all processes: the gradients first, since most are under way.
        if overlapped_sum:
            overlapped_sum.finish()
        else:
            world.add_gradients(parameters)
        means = world.total(means)
    # The norm is wanted for the log even when nothing is clipped: an infinite limit changes no gradient.
    norm = clip_grad_norm_(parameters, clip if clip > 0 else float("inf"))
    # One transfer to the CPU for all numbers: each one alone would wait for the device.
    *loss_means, length = torch.cat([means, norm.reshape(1)]).tolist()
    values = dict(zip(tasks, loss_means, strict=True))
    gradient_summary, skip_message = None, ""
    if all(map(isfinite, [*loss_means, length])):
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        state.optimizer.step()
        state.in_a_row = 0
        if passes.learns_after_step:
            passes.learn_from_step(
                {n: values[n] for n in present},
                _recompute_losses(state, batches, targets, present, world, precision),
            )
        gradient_summary = passes.commit_step()
    else:
        skip_message = _record_skipped_step(state, values, batches)
    for name in tasks:
        # After a skipped step too: scores that a risk-set buffer has not taken in yet must not wait for the next step.
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
    message = torch.cat([counts.flatten(), together.flatten()])
    if world.size > 1:
        message = world.total(message)
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


def flatten_target(
    batch: Batch, task: Task, patched: bool = False, structures: str | None = None
) -> tuple[Target, list[str]]:
    """Return the target of a task with one leading axis N, and the id of each item.

    N runs over the known visits of a voxel task (times the patches when it is `patched`), over all visits of a visit
    task, or over subjects. `structures` names the segmentation whose masks a dose loss reads.
    """
    target = batch.targets[task.name]
    if task.level == "subject":
        return target, list(batch.subjects)
    ids = [
        f"{subject}@{visit}" if visit else subject
        for subject, visits in zip(batch.subjects, batch.visits, strict=True)
        for visit in visits
    ]
    if task.level == "visit":
        known = target.known.flatten(0, 1)
        # A padded visit must never count as known, whatever stands in its place.
        not_padded = batch.visit_known.flatten()
        return Target(target.value.flatten(0, 1), known & not_padded.view(-1, *[1] * (known.dim() - 1))), ids
    present = batch.visit_known.flatten()
    assert target.region is not None
    known, value, region = (
        _select_known_visits(t, present) for t in (target.known, target.value, target.region)
    )
    names = [i for i, there in zip(ids, present.tolist(), strict=True) if there]
    if patched:
        count = region.shape[1]
        names = [n for n in names for _ in range(count)]
        known, value, region = known.repeat_interleave(count, 0), value.flatten(0, 1), region.flatten(0, 1)
    masks = (
        None if structures is None else unpack_structure_masks(batch.targets[structures], patched)[present]
    )
    if masks is not None and patched:
        masks = masks.flatten(0, 1)
    return Target(value, known, region, masks), names


def _select_known_visits(items: Tensor, present: Tensor) -> Tensor:
    """Select the known visits: `[B, V, …]` → `[N, …]`.

    Full-resolution maps are copied only when a visit is missing.
    """
    flat = items.flatten(0, 1)
    return flat if bool(present.all()) else flat[present]


def unpack_structure_masks(target: Target, patched: bool) -> Tensor:
    """Make bool masks `[B·V(, P), K, *space]` from a segmentation target `[B, V(, P), …]`; unknown structures are
    empty."""
    assert target.region is not None
    value, known = target.value.flatten(0, 1), target.known.flatten(0, 1)
    lead = 1 + patched
    # Exclusive structures share one map of labels; overlapping ones have a plane each.
    if target.value.dim() == target.region.dim():
        labels = torch.arange(1, known.shape[-1] + 1, device=value.device)
        masks = value.unsqueeze(lead) == labels.view(*[1] * lead, -1, *[1] * (value.dim() - lead))
    else:
        masks = value > 0
    flags = known.view(known.shape[0], *[1] * patched, known.shape[1], *[1] * (masks.dim() - lead - 1))
    return masks & flags
