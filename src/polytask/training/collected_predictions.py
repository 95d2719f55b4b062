"""Collects predictions together with the true answers, joined by id, and computes metrics from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.cohort.cohort import Cohort, Sample
from polytask.inference.sample_prediction import Predictions
from polytask.prepare.evaluation_sample import FullSample
from polytask.prepare.sample_targets import make_pooled_target
from polytask.prepare.slot_assignment import assign_visit_slots
from polytask.prepare.store import Store
from polytask.tasks.task import (
    PATCH_KEY_PREFIXES,
    Arrays,
    Prediction,
    Task,
    expect_pooled_task,
    expect_voxel_task,
)


@dataclass
class PooledItems:
    """The items of one pooled task: ids, predictions and true answers, all in the same order."""

    ids: list[tuple[str, str]] = field(default_factory=list)
    predictions: list[Prediction] = field(default_factory=list)
    values: list[npt.NDArray[Any]] = field(default_factory=list)
    known: list[npt.NDArray[np.bool_]] = field(default_factory=list)

    def stack_arrays(self) -> tuple[Arrays, npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Stack all items: predictions by key, true values, and which values are known. The first axis is N items."""
        # Attention on slide patches has another length for each slide, so it cannot be stacked.
        keys = [k for k in self.predictions[0] if not k.startswith(PATCH_KEY_PREFIXES)]
        prediction = {k: np.concatenate([p[k].numpy() for p in self.predictions]) for k in keys}
        return prediction, np.stack(self.values), np.stack(self.known)


def read_pooled_truth(
    cohort: Cohort, task: Task, sample: Sample, slot: int, max_visits: int
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Read the true (value, known) of one item from the cohort. `slot` is a visit slot, or −1 for a subject task."""
    target = make_pooled_target(cohort, task.name, assign_visit_slots(cohort, sample, max_visits).cases)
    if slot < 0:
        return target.value.numpy(), target.known.numpy()
    return target.value[slot].numpy(), target.known[slot].numpy()


class PartPredictions:
    """All predictions for one part of a fold, with their true answers. Voxel tasks are judged on the stored grids."""

    def __init__(
        self, cohort: Cohort, store: Store, tasks: dict[str, Task], max_visits: int, spacings: dict[str, Any]
    ):
        self.cohort, self.store, self.tasks, self.max_visits = cohort, store, tasks, max_visits
        self.spacings = spacings
        self.pooled = {n: PooledItems() for n, t in tasks.items() if t.level != "voxel"}
        self.cases: dict[str, list[dict[str, float]]] = {
            n: [] for n, t in tasks.items() if t.level == "voxel"
        }

    def add(self, sample: Sample, full: FullSample, found: Predictions) -> None:
        """Add the predictions of one sample, together with what the cohort knows about it."""
        for name, slots in found.items():
            for slot, prediction in slots.items():
                if name in self.pooled:
                    value, known = read_pooled_truth(
                        self.cohort, self.tasks[name], sample, slot, self.max_visits
                    )
                    mine = self.pooled[name]
                    mine.ids.append((sample.subject, full.visits[slot] if slot >= 0 else ""))
                    mine.predictions.append(prediction)
                    mine.values.append(value)
                    mine.known.append(known)
                # A mask is judged here and dropped: keeping the predicted arrays of all cases would fill the
                # memory.
                elif (key := full.keys[slot]) is not None and any(self.store.case(key).known(name)):
                    self.cases[name].append(self._judge_voxel_case(name, key, prediction))

    def _judge_voxel_case(self, name: str, key: str, prediction: Prediction) -> dict[str, float]:
        task, case = expect_voxel_task(self.tasks[name]), self.store.case(key)
        return task.case_metrics(
            task.answer(prediction)[0].numpy(),
            np.asarray(case.voxel[name]),
            np.array(case.known(name), bool),
            np.asarray(case.region[name], bool) if name in case.region else None,
            self.spacings[name],
            distances=False,
        )

    def metrics(self) -> dict[str, dict[str, float]]:
        """Compute the metrics by task: for a pooled task over all items together, for a
        voxel task the mean over cases."""
        result: dict[str, dict[str, float]] = {}
        for name, task in self.tasks.items():
            if name in self.pooled:
                mine = self.pooled[name]
                result[name] = (
                    expect_pooled_task(task).metrics(*mine.stack_arrays()) if mine.ids else {"n": 0.0}
                )
            else:
                result[name] = average_case_metrics(self.cases[name])
        return result


def average_case_metrics(cases: list[dict[str, float]]) -> dict[str, float]:
    """Average each metric over the cases in which it is defined; `n` is the number of all cases."""
    names = dict.fromkeys(k for case in cases for k in case)
    means = {"n": float(len(cases))}
    for name in names:
        values = [case[name] for case in cases if name in case and np.isfinite(case[name])]
        means[name] = float(np.mean(values)) if values else float("nan")
    return means
