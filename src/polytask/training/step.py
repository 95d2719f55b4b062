"""One optimizer step, from batches to new weights.

The order: flat targets and counts, forward passes, losses, weighted backward passes, clipping, optimizer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from polytask.model.network import Network
from polytask.prepare.batch import Batch
from polytask.tasks.heads_and_losses import HostCopy, get_host_target, make_autocast
from polytask.tasks.target import Target
from polytask.tasks.task import Task
from polytask.training.balancing import BalancedBackward
from polytask.training.distributed import World
from polytask.training.gradient_log import GradientSummary
from polytask.training.losses_after_step import recompute_losses
from polytask.training.overlapped_sum import OverlappedSum
from polytask.training.state import FitState, match_gradient_layout, step_where_finite
from polytask.training.structure_masks import unpack_structure_masks

BatchTargets = Mapping[str, tuple[Target, list[str]]]
RecordLap = Callable[[str], None]
"""Called with the name of each part of a step when that part is done."""


@dataclass(frozen=True)
class PlacedBatch:
    """A batch on the device of the training, with the flat target of each task and the ids of its items.

    `known`, bool `[T, B]` in host memory, says whether anything of a task is known of a sample.
    """

    batch: Batch
    targets: BatchTargets
    known: Tensor


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


@dataclass
class LaunchedStep:
    """A step that a device may still be computing, with the `number` of steps before it and the tasks that were
    `present`. `numbers` are the mean loss of every task, then the length of the gradient."""

    state: FitState
    passes: BalancedBackward
    number: int
    numbers: HostCopy
    present: Sequence[str]
    together: list[list[float]]
    subjects: Sequence[str]
    result: StepResult | None = None

    def read(self, update: Callable[[dict[str, float]], None] = lambda losses: None) -> StepResult:
        """Wait for the numbers and return what the step did. Steps must be read in their order. `update` moves the
        weights if the step counts, where the device has not done so by itself."""
        if self.result is None:
            # One transfer to the CPU for all numbers: each one alone would wait for the device.
            *means, norm = self.numbers.wait().tolist()
            values = dict(zip(self.state.network.tasks, means, strict=True))
            losses = {n: values[n] for n in self.present}
            summary, message = None, ""
            if all(map(isfinite, [*means, norm])):
                update(losses)
                self.state.in_a_row = 0
                summary = self.passes.commit_step()
            else:
                message = self.state.record_skipped_step(self.number, values, self.subjects)
            self.result = StepResult(losses, norm, self.together, summary, message)
        return self.result


def ignore_lap(part: str) -> None:
    """Record no times: the default of `take_step`."""


def take_step(
    state: FitState,
    batches: Sequence[Batch | PlacedBatch],
    world: World,
    rate: float,
    precision: str,
    clip: float,
    lap: RecordLap = ignore_lap,
) -> StepResult:
    """Take one step and wait for its result; see `launch_step`."""
    return launch_step(state, batches, world, rate, precision, clip, lap).read()


def launch_step(
    state: FitState,
    batches: Sequence[Batch | PlacedBatch],
    world: World,
    rate: float,
    precision: str,
    clip: float,
    lap: RecordLap = ignore_lap,
) -> LaunchedStep:
    """Accumulate over `batches`, balance the tasks, clip, update.

    Counts come first: the mean of a task divides by its count over all processes and micro-batches. A task whose count
    is zero is absent: no loss, no gradient, no change of state. The step is Σ weight · loss / T over the tasks that are
    present; the balancing rule gives the weights, for each micro-batch by itself.

    The result is there at the end, unless the levers of `world` allow steps to be under way
    (`DeviceSpeedups.steps_ahead`) and the balancing rule reads no numbers: then nothing is read from a device here.
    """
    network, tasks = state.network, state.network.tasks
    passes = BalancedBackward.of(state.balancer, state.step, world)
    placed = [b if isinstance(b, PlacedBatch) else place_batch(state, b, world.device) for b in batches]
    # All processes must know the total counts before the first backward pass: each loss is divided by them.
    counts, together = count_known_targets(state, placed, world)
    counts_by_batch = [dict(zip(tasks, row, strict=True)) for row in counts.tolist()]
    step_count = {name: sum(row[name] for row in counts_by_batch) for name in tasks}
    present = {n: count for n, count in zip(tasks, counts.sum(0), strict=True) if step_count[n] > 0}
    losses = {name: torch.zeros((), device=world.device) for name in tasks}
    parameters = [p for p in network.parameters() if p.requires_grad]
    overlapped_sum = None
    lap("targets")
    for number, (item, batch_count) in enumerate(zip(placed, counts_by_batch, strict=True), 1):
        with make_autocast(precision, world.device):
            outputs = network(item.batch, passes.cut())
        lap("forward")
        scaled_losses = {}
        for name, count in present.items():
            loss, _ = state.criteria[name](outputs[name], *item.targets[name])
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
    if world.speedups.channels_last:
        match_gradient_layout(parameters)
    numbers = torch.cat([means, norm.reshape(1)])
    subjects = sorted({s for item in placed for s in item.batch.subjects})
    step = LaunchedStep(state, passes, state.step, HostCopy(numbers), list(present), together, subjects)

    def update(losses: dict[str, float]) -> None:
        _move_weights(state.optimizer, rate)
        if passes.learns_after_step:
            passes.learn_from_step(losses, recompute_losses(state, placed, present, world, precision))

    if world.speedups.steps_ahead and passes.reads_nothing and state.optimizer.defaults.get("fused"):
        _move_weights(state.optimizer, rate, where_finite=numbers)
    else:
        step.read(update)
    for name in tasks:
        # After a skipped step too: scores that a risk-set buffer has not taken in yet must not wait for the next step.
        state.criteria[name].update()
    state.optimizer.zero_grad(set_to_none=True)
    state.step += 1
    lap("optimiser")
    return step


def place_batch(state: FitState, batch: Batch, device: torch.device, pinned: bool = False) -> PlacedBatch:
    """Flatten the targets of a batch in host memory, and copy them and the batch to a device. What a step must know
    before it computes, which items are known and how many, stays in host memory too."""
    network, tasks = state.network, state.network.tasks
    targets = {
        name: flatten_target(batch, task, _reads_patches(network, batch, name), state.structures.get(name))
        for name, task in tasks.items()
    }
    size = len(batch.subjects)
    known = torch.stack([batch.targets[n].known.reshape(size, -1).any(1) for n in tasks])
    if device.type == "cpu":
        return PlacedBatch(batch, targets, known)
    moved = {name: (target.to(device, pinned), ids) for name, (target, ids) in targets.items()}
    return PlacedBatch(replace(batch, targets={}).to(device, pinned), moved, known)


def _move_weights(optimizer: Optimizer, rate: float, where_finite: Tensor | None = None) -> None:
    """Take the step of the optimizer. With `where_finite`, weights and optimizer stay as they are if one of these
    numbers is not finite."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    if where_finite is None:
        optimizer.step()
    else:
        step_where_finite(optimizer, where_finite)


def count_known_targets(
    state: FitState, placed: Sequence[PlacedBatch], world: World
) -> tuple[Tensor, list[list[float]]]:
    """Count what is known, over all processes, in host memory.

    Returns the counts `[batches, tasks]`, and `[tasks, tasks]`: in how many batches some sample has both tasks known.
    """
    rows = []
    for item in placed:
        host = {n: (get_host_target(target), ids) for n, (target, ids) in item.targets.items()}
        rows.append(torch.stack([state.criteria[n].count(*host[n]).float() for n in state.network.tasks]))
    counts = torch.stack(rows)
    together = counts.new_zeros(len(state.network.tasks), len(state.network.tasks))
    for item in placed:
        known = item.known.to(counts)
        together += (known @ known.T > 0).to(counts)
    message = torch.cat([counts.flatten(), together.flatten()])
    if world.size > 1:
        message = world.total(message)
    totals = message[: counts.numel()].view_as(counts)
    return totals, message[counts.numel() :].view_as(together).tolist()


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
