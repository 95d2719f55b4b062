"""A time budget becomes a number of steps once, before the first step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from math import ceil

import torch

from polytask.plan.plan import Training
from polytask.prepare.batch import Batch
from polytask.training.distributed import World
from polytask.training.state import State
from polytask.training.step import autocast
from polytask.training.targets import flat_target

TRIALS = 4
SHARE_OF_TUNE = 0.15


def steps_within(
    minutes: float,
    state: State,
    batches: Iterator[Batch],
    tune: Callable[[], object],
    settings: Training,
    world: World,
) -> tuple[int, Training]:
    """Steps that fit into `minutes`, and the settings with `tune_every` such that tune takes at most 15 %.

    Times a few forward and backward passes (the first, which warms up, is left out) and one evaluation on tune.
    No weight changes. All processes agree on the slowest.
    """
    seconds = [
        _pass(state, batch.to(world.device), settings.precision, world) for batch in islice(batches, TRIALS)
    ]
    state.network.zero_grad(set_to_none=True)
    per_step = sorted(seconds[1:] or seconds)[len(seconds[1:] or seconds) // 2] * settings.accumulation * 1.05
    started = time.perf_counter()
    state.network.eval()
    tune()
    per_tune = time.perf_counter() - started
    mean = world.total(torch.tensor([per_step, per_tune], device=world.device)) / world.size
    per_step, per_tune = float(mean[0]), float(mean[1])
    per_epoch = per_step * settings.steps_per_epoch
    every = max(settings.tune_every, ceil(per_tune / (SHARE_OF_TUNE * per_epoch)))
    budget = max(minutes * 60 - per_tune, per_step)
    steps = max(1, int(budget / (per_step + per_tune / (every * settings.steps_per_epoch))))
    return steps, settings.model_copy(update={"tune_every": every})


def _pass(state: State, batch: Batch, precision: str, world: World) -> float:
    """Seconds of one forward and backward pass; criteria in eval mode do not remember its scores."""
    started = time.perf_counter()
    network = state.network.train()
    state.criteria.eval()
    with autocast(precision, world.device):
        outputs = network(batch)
    total = torch.zeros((), device=world.device)
    for name, task in network.tasks.items():
        patched = network.spec.voxel_image.get(name) in batch.patch
        target, items = flat_target(batch, task, patched, state.structures.get(name))
        loss, count = state.criteria[name](outputs[name], target, items)
        total = total + (loss / count if count > 0 else loss * 0)
    if total.requires_grad:
        total.backward()
    state.criteria.train()
    return time.perf_counter() - started
