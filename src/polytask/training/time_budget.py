"""Turns a time budget into a number of steps before the first step; `moving_end` corrects it later."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from math import ceil
from statistics import median

import torch

from polytask.plan.plan_schema import TrainingPlan
from polytask.prepare.batch import Batch
from polytask.tasks.heads_and_losses import make_autocast
from polytask.training.distributed import World
from polytask.training.moving_end import EndEstimate, find_affordable_end
from polytask.training.state import FitState
from polytask.training.step import place_batch

MIN_TIMED_PASSES, MAX_TIMED_PASSES = 1, 40
"""How many passes are timed after the first two, at least and at most. They are lost to the training, and its end moves
from the first steps on, so that a short budget needs few of them."""
TIMING_BUDGET_SHARE = 0.02
"""Share of the budget that timing passes may take."""
MAX_TUNE_SHARE = 0.15
"""Share of the training time that evaluations on tune may take."""


def find_step_budget(
    minutes: float,
    state: FitState,
    batches: Iterator[Batch],
    tune: Callable[[], object],
    settings: TrainingPlan,
    world: World,
) -> EndEstimate:
    """Find how many steps fit into `minutes`, and a `tune_every` that lets tune take at most 15 %.

    Times forward and backward passes for about 2 % of the budget, and an evaluation on tune. The first pass warms up
    and is left out. The median counts, so that a moment in which the machine was busy does not matter. No weight
    changes.
    """
    started = time.perf_counter()

    def mean(seconds: float) -> float:
        return (
            # The mean over processes, so that all agree on the number of steps.
            float(world.total(torch.tensor(seconds, device=world.device, dtype=torch.float32))) / world.size
        )

    def timed(count: int) -> list[float]:
        chosen = islice(batches, count)
        return [_time_training_pass(state, batch, settings.precision, world) for batch in chosen]

    first = timed(2)
    more = TIMING_BUDGET_SHARE * minutes * 60 / max(mean(first[-1]), 1e-3)
    seconds = first[1:] + timed(min(max(int(more), MIN_TIMED_PASSES), MAX_TIMED_PASSES))
    state.network.zero_grad(set_to_none=True)
    # A timed pass has no optimizer step: 5 % are added for what it leaves out.
    per_step = mean(median(seconds)) * settings.accumulation * 1.05
    per_tune = mean(_time_tune_evaluation(state, tune))
    affordable = MAX_TUNE_SHARE * per_step * settings.steps_per_epoch
    # The first evaluation loads libraries. It is repeated only where it would make tune rarer than planned: otherwise
    # the estimates within the training correct it.
    if settings.tune_every * affordable < per_tune < TIMING_BUDGET_SHARE * minutes * 60:
        per_tune = mean(_time_tune_evaluation(state, tune))
    every = max(settings.tune_every, ceil(per_tune / affordable))
    spent = mean(time.perf_counter() - started)
    steps = find_affordable_end(0, minutes * 60 - spent, per_step, per_tune, every * settings.steps_per_epoch)
    return EndEstimate(max(1, steps), every, spent, per_step, per_tune)


def wait_for_device(device: torch.device) -> None:
    """Wait until a device has done all its work; a clock would otherwise read only how long it took to ask for it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _time_tune_evaluation(state: FitState, tune: Callable[[], object]) -> float:
    """Measure the seconds of one evaluation on tune."""
    started = time.perf_counter()
    state.network.eval()
    tune()
    return time.perf_counter() - started


def _time_training_pass(state: FitState, batch: Batch, precision: str, world: World) -> float:
    """Measure the seconds of one forward and backward pass. Criteria in eval mode do not remember its scores."""
    wait_for_device(world.device)
    started = time.perf_counter()
    placed = place_batch(state, batch, world.device)
    network = state.network.train()
    state.criteria.eval()
    with make_autocast(precision, world.device):
        outputs = network(placed.batch)
    total = torch.zeros((), device=world.device)
    for name in network.tasks:
        loss, count = state.criteria[name](outputs[name], *placed.targets[name])
        total = total + (loss / count if count > 0 else loss * 0)
    if total.requires_grad:
        total.backward()
    state.criteria.train()
    wait_for_device(world.device)
    return time.perf_counter() - started
