"""Measures how good the network is on the fold's tune part: metrics by task, and their mean skill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from polytask.inference.sample_prediction import predict_sample
from polytask.prepare.evaluation_sample import full_sample
from polytask.tasks.task import Task
from polytask.training.collected_predictions import PartPredictions
from polytask.training.state import FitState

if TYPE_CHECKING:
    from polytask.training.fitting import RunContext


MIN_TASK_SKILL = -1.0
"""The least that a task counts in the mean skill: R² has no lower end, and one bad task would choose the checkpoint
alone."""


def find_mean_skill(tasks: Mapping[str, Task], metrics: Mapping[str, Mapping[str, float]]) -> float:
    """Average the tasks' skills: each primary metric on a scale where chance is 0 and perfect is 1.

    No skill counts for less than `MIN_TASK_SKILL`. Tasks that tune does not define are left out; the result is 0 when
    it defines none.
    """
    skills = [tasks[t].skill(m) for t, m in metrics.items()]
    known = [max(s, MIN_TASK_SKILL) for s in skills if np.isfinite(s)]
    return float(np.mean(known)) if known else 0.0


class TuneEvaluator:
    """Evaluates the network after an epoch. One process evaluates, and all of them learn the mean skill."""

    def __init__(self, state: FitState, context: RunContext):
        self.state, self.context = state, context

    def __call__(self) -> tuple[float, dict[str, dict[str, float]]]:
        """Return (mean skill, metrics by task). Processes other than the first get the skill only."""
        world = self.context.world
        skill, metrics = (0.0, {})
        if world.chief:
            with use_averaged_weights(self.state):
                metrics = self._metrics()
            skill = find_mean_skill(self.state.network.tasks, metrics)
        # The others add 0, so that the sum is the first one's skill and all stop at the same epoch.
        return float(world.total(torch.tensor(skill, device=world.device, dtype=torch.float32))), metrics

    def _metrics(self) -> dict[str, dict[str, float]]:
        context, network = self.context, self.state.network
        plan = context.plan
        spacings = {t: plan.shared.images[i].spacing for t, i in network.spec.voxel_image.items()}
        answers = PartPredictions(
            context.cohort, context.store, network.tasks, plan.shared.max_visits, spacings
        )
        for sample in context.cohort.samples(context.parts.tune):
            full = full_sample(context.store, context.cohort, sample, plan, plan.folds[context.fold])
            answers.add(sample, full, predict_sample(network, full, plan, context.world.device, overlap=0.0))
        return answers.metrics()


@contextmanager
def use_averaged_weights(state: FitState) -> Iterator[None]:
    """Inside the block the network has the averaged weights, if the run keeps an average."""
    if state.average is None:
        yield
        return
    own = {k: v.detach().clone() for k, v in state.network.state_dict().items()}
    state.network.load_state_dict(state.average)
    try:
        yield
    finally:
        state.network.load_state_dict(own)
