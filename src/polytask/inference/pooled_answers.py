"""Answers to visit and subject tasks, joined with their truth by subject and visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.cohort.cohort import Cohort
from polytask.inference.sample_prediction import Predictions
from polytask.prepare.evaluation_sample import FullSample
from polytask.prepare.sample_targets import make_pooled_target
from polytask.tasks.task import PATCH_KEY_PREFIXES, Arrays, Task

CaseId = tuple[str, str]
"""Subject and visit; the visit is "" for answers about the subject."""


@dataclass(frozen=True)
class PooledAnswers:
    """Answers to one visit or subject task, with their truth.

    Args:
        ids: subject and visit of each item, in the order of the first axis of every array.
        prediction: decoded arrays `[N, …]`; no arrays when there are no items.
        value, known: the truth, see `tasks.target.Target`.
    """

    ids: tuple[CaseId, ...]
    prediction: Arrays
    value: npt.NDArray[Any]
    known: npt.NDArray[np.bool_]

    @classmethod
    def stack(cls, items: Sequence[PooledAnswers]) -> PooledAnswers:
        """Put the items of several answers to one task behind one another."""
        if not items:
            return cls((), {}, np.zeros(0), np.zeros(0, bool))
        return cls(
            tuple(case_id for item in items for case_id in item.ids),
            {key: np.concatenate([item.prediction[key] for item in items]) for key in items[0].prediction},
            np.concatenate([item.value for item in items]),
            np.concatenate([item.known for item in items]),
        )

    def take(self, index: npt.NDArray[np.int64]) -> PooledAnswers:
        """Return the items at these positions; a position may occur several times."""
        return PooledAnswers(
            tuple(self.ids[i] for i in index),
            {k: v[index] for k, v in self.prediction.items()},
            self.value[index],
            self.known[index],
        )


class PooledCollector:
    """Joins each prediction of a visit or subject task with its truth as soon as it is made.

    Args:
        tasks: all tasks of the model; its voxel tasks are left to others.
    """

    def __init__(self, cohort: Cohort, tasks: Mapping[str, Task]):
        self.cohort, self.tasks = cohort, tasks
        self._items: dict[str, list[PooledAnswers]] = {n: [] for n, t in tasks.items() if t.level != "voxel"}

    def add(self, task: str, case_id: CaseId, prediction: Arrays) -> None:
        """Add the prediction for one visit or subject: arrays with a leading axis of 1."""
        subject, visit = case_id
        cases = self.cohort.subjects[subject]
        if self.tasks[task].level == "subject":
            target = make_pooled_target(self.cohort, task, cases)
            value, known = target.value.numpy()[None], target.known.numpy()[None]
        else:
            case = next(c for c in cases if c.visit == visit)
            target = make_pooled_target(self.cohort, task, (case,))
            value, known = target.value.numpy(), target.known.numpy()
        # Attention on slide patches has another length for each slide, so it cannot be stacked; it is no answer either.
        arrays = {k: v for k, v in prediction.items() if not k.startswith(PATCH_KEY_PREFIXES)}
        self._items[task].append(PooledAnswers((case_id,), arrays, value, known))

    def add_sample(self, sample: FullSample, predictions: Predictions) -> None:
        """Add what a network predicted for one sample."""
        for task in self._items:
            for slot, prediction in predictions.get(task, {}).items():
                visit = sample.visits[slot] if slot >= 0 else ""
                self.add(task, (sample.subject, visit), {k: v.numpy() for k, v in prediction.items()})

    def stack(self) -> dict[str, PooledAnswers]:
        """Return all answers by task, in the order in which they were added."""
        return {name: PooledAnswers.stack(items) for name, items in self._items.items()}
