"""One optimiser step: what every task lost, and what the step did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from math import isfinite

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from polytask.errors import PolytaskError
from polytask.model.network import Network
from polytask.prepare.batch import Batch
from polytask.training.distributed import World
from polytask.training.state import State
from polytask.training.targets import flat_target

PATIENCE_WITH_NONSENSE = 20
Lap = Callable[[str], None]
"""Told the name of each part of a step when it is done."""


def no_lap(part: str) -> None:
    """Nobody measures."""


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """bf16 where the plan says so; losses leave it by themselves."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def take_step(
    state: State,
    batches: Sequence[Batch],
    world: World,
    rate: float,
    precision: str,
    clip: float,
    lap: Lap = no_lap,
    weights: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Accumulate over `batches`, balance, clip, update → mean loss by task, gradient norm.

    Counts come first: each task's mean divides by its count over all processes and micro-batches, and a task
    whose count is zero is absent - no loss, no gradient, no change of state. The step is Σ weight · loss / T over the
    tasks that are present; a weight is 1 where `weights` says nothing.
    """
    network, tasks = state.network, state.network.tasks
    targets = [
        {
            name: flat_target(batch, task, _patched(network, batch, name), state.structures.get(name))
            for name, task in tasks.items()
        }
        for batch in batches
    ]
    counts = world.total(
        torch.stack([_sum([state.criteria[n].count(*t[n]) for t in targets]) for n in tasks]).float()  # type: ignore[operator]
    )
    there = [count > 0 for count in counts.tolist()]
    present = {name: count for name, count, known in zip(tasks, counts, there, strict=True) if known}
    losses = {name: counts.new_zeros(()) for name in tasks}
    lap("targets")
    for batch, target in zip(batches, targets, strict=True):
        with autocast(precision, world.device):
            outputs = network(batch)
        lap("forward")
        total = counts.new_zeros(())
        for name, count in present.items():
            loss, _ = state.criteria[name](outputs[name], *target[name])
            losses[name] = losses[name] + loss.detach() / count
            total = total + (weights or {}).get(name, 1.0) * loss / count
            lap(f"loss {name}")
        if total.requires_grad:
            (total / len(tasks)).backward()
        lap("backward")
    means = world.total(torch.stack([losses[n] for n in tasks]))
    parameters = [p for p in network.parameters() if p.requires_grad]
    world.add_gradients(parameters)
    norm = clip_grad_norm_(parameters, clip if clip > 0 else float("inf"))
    *found, length = torch.cat([means, norm.reshape(1)]).tolist()
    values = dict(zip(tasks, found, strict=True))
    if all(map(isfinite, [*found, length])):
        for group in state.optimiser.param_groups:
            group["lr"] = rate * group["factor"]
        state.optimiser.step()
        state.in_a_row = 0
    else:
        _count_nonsense(state, values, batches)
    for name in tasks:
        state.criteria[name].update()  # type: ignore[operator]
    state.optimiser.zero_grad(set_to_none=True)
    state.step += 1
    lap("optimiser")
    return {n: v for n, v in values.items() if n in present} | {"norm": length}


def _count_nonsense(state: State, losses: dict[str, float], batches: Sequence[Batch]) -> None:
    state.skipped += 1
    state.in_a_row += 1
    bad = [n for n, v in losses.items() if v != v or abs(v) == float("inf")]
    subjects = sorted({s for b in batches for s in b.subjects})
    state.complaint = (
        f"step {state.step}: {'loss of ' + ', '.join(bad) if bad else 'gradient'} is not finite; "
        f"subjects {', '.join(subjects)}; step skipped ({state.skipped} so far)"
    )
    if state.in_a_row >= PATIENCE_WITH_NONSENSE:
        raise PolytaskError(
            f"{state.complaint}; {state.in_a_row} in a row: stopped. Lower training.rate, set training.precision to "
            "float32, or look at these subjects with `polytask check`"
        )


def _patched(network: Network, batch: Batch, task: str) -> bool:
    image = network.spec.voxel_image.get(task)
    return image is not None and image in batch.patch


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    return torch.stack([t.float() for t in tensors]).sum()
