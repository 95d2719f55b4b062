"""Measures how good the network is on the fold's tune part: metrics by task, and their mean skill."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from polytask.inference.pooled_answers import PooledAnswers, PooledCollector
from polytask.inference.sample_prediction import predict_sample
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.store import Store
from polytask.tasks.task import Prediction, Task, expect_pooled_task, expect_voxel_task
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
        """Compute the metrics by task: for a pooled task over all items together, for a voxel task the mean over
        cases."""
        context, network = self.context, self.state.network
        plan, tasks = context.plan, network.tasks
        pooled = PooledCollector(context.cohort, tasks)
        cases: dict[str, list[dict[str, float]]] = {n: [] for n, t in tasks.items() if t.level == "voxel"}
        for sample in context.cohort.samples(context.parts.tune):
            full = full_sample(context.store, context.cohort, sample, plan, plan.folds[context.fold], tasks)
            predictions = predict_sample(network, full, plan, context.world.device, overlap=0.0)
            pooled.add_sample(full, predictions)
            for name, of_task in cases.items():
                spacing = plan.shared.images[network.spec.voxel_image[name]].spacing
                # A mask is judged here and dropped: keeping the predicted arrays of all cases would fill the memory.
                for slot, prediction in predictions.get(name, {}).items():
                    metrics = measure_stored_case(
                        context.store, full.keys[slot], tasks[name], prediction, spacing
                    )
                    if metrics is not None:
                        of_task.append(metrics)
        answers = pooled.stack()
        return {
            name: compute_pooled_metrics(task, answers[name])
            if name in answers
            else average_case_metrics(cases[name])
            for name, task in tasks.items()
        }


def measure_stored_case(
    store: Store, key: str | None, task: Task, prediction: Prediction, spacing: Sequence[float]
) -> dict[str, float] | None:
    """Compute the metrics of one mask or dose on the grid of the store, without surface distances, which take long.

    Returns None when the slot is padded (`key` is None) or nothing is known of the case.
    """
    if key is None or not any(store.case(key).known(task.name)):
        return None
    voxel_task, case = expect_voxel_task(task), store.case(key)
    return voxel_task.case_metrics(
        voxel_task.answer(prediction)[0].numpy(),
        np.asarray(case.voxel[task.name]),
        np.array(case.known(task.name), bool),
        np.asarray(case.region[task.name], bool) if task.name in case.region else None,
        spacing,
        distances=False,
    )


def compute_pooled_metrics(task: Task, answers: PooledAnswers) -> dict[str, float]:
    """Compute the metrics of a pooled task; without any answer there is only `n`, which is 0."""
    if not answers.ids:
        return {"n": 0.0}
    return expect_pooled_task(task).metrics(answers.prediction, answers.value, answers.known)


def average_case_metrics(cases: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average each metric over the cases in which it is defined; `n` is the number of all cases."""
    names = dict.fromkeys(k for case in cases for k in case)
    means = {"n": float(len(cases))}
    for name in names:
        values = [case[name] for case in cases if name in case and np.isfinite(case[name])]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means


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
