"""The contract of a task with tensors: outputs, head, criterion, decoding, metrics, skill.

A task is a frozen dataclass whose fields are the mapping `folds.K.tasks.NAME` of the plan; it knows only tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from polytask.tasks.target import Target

TaskLevel = Literal["voxel", "visit", "subject"]
Prediction = dict[str, Tensor]
"""Decoded outputs with first axis N; ensembles average these. The keys depend on the kind:

classification, ordinal: `p [N, classes]` · multilabel: `p [N, labels]` · regression: `value [N]` (in its unit), with
`spread` also `spread [N]`, a standard deviation, and of quantiles `low [N]`, `high [N]` ·
survival: `risk [N]` (log hazard ratio or minus expected time), `p [N, horizons]` (probability of the event by then) ·
segmentation: `p [N, 1 + K, *space]` (exclusive, with background) or `[N, K, *space]` · dose: `value [N, *space]`,
`spread [N, *space]`.
"""
Arrays = dict[str, npt.NDArray[Any]]
Conditions = Mapping[str, tuple[str, ...]]
"""The task that decides whether another one applies → its classes with which it does; empty: it always applies."""
PATCH_KEY_PREFIXES = ("patches.", "places.", "slices.")
"""Prefixes of keys that a network adds to a prediction and whose length differs from case to case: the attention on the
patches of a slide `[N, P]` (`[N, V, P]` for a subject task) and their positions, and that on the slices of a volume.
They are no answers and are never joined."""


class Criterion(Protocol):
    """A loss. It is an `nn.Module`, so that its state (a risk-set buffer) is saved with the run."""

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count what the loss will be divided by (float scalar), from the target alone, before any forward pass.

        0 means that the task is absent from this batch.
        """

    def __call__(self, output: Any, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) in float32. Their ratio over all processes and accumulation steps is about 1 at first.

        `output` is what the head returns: `[N, outputs(, *space)]`, or with deep supervision a list of them, finest
        first. `subjects` has the names of the N items. Values are read only where they are known.
        """

    def update(self) -> None:
        """Update the state once after the optimizer's step (a risk-set buffer takes in the scores of the step)."""


@runtime_checkable
class Task(Protocol):
    """The part that all tasks share; `PooledTask` and `VoxelTask` add the metrics of their level."""

    kind: ClassVar[str]
    primary: ClassVar[str]
    """Name of the primary metric in `metrics`."""
    higher: ClassVar[bool]
    """Whether a larger value of the primary metric is better."""

    @property
    def name(self) -> str: ...

    @property
    def level(self) -> TaskLevel: ...

    @property
    def outputs(self) -> int:
        """Number of channels of the head's output."""

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head: `[N, features] → [N, outputs]`, or `[N, features, *space] → [N, outputs, *space]` for voxels.

        Its biases start at the frequencies of the fold's train part, if these are a constant predictor.
        """

    def criterion(self) -> Criterion:
        """Make a new criterion, which has its own state."""

    def decode(self, output: Tensor) -> Prediction:
        """Turn the output of the head into probabilities and values, in float32."""

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute a number that is 0 for chance, 1 for perfect and NaN when unknown: Dice, 2·AUC−1, 2C−1, κ, R², or
        1 − MAE / MAE of a constant."""


class PooledTask(Task, Protocol):
    """A task with one answer per visit or subject."""

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cells of a row of `predictions.csv`: "" → answer, ".p.CLASS" → probability, ".risk", ".p.T365"."""

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute metrics over N items, each NaN where undefined; `n`, the number of known items, is always there."""


class VoxelTask(Task, Protocol):
    """A task with one value per voxel."""

    def answer(self, prediction: Prediction) -> Tensor:
        """Turn probabilities into the answer: uint8 `[N, *space]` (exclusive), uint8 `[N, K, *space]` (overlapping), or
        float `[N, *space]` (dose)."""

    def case_metrics(
        self,
        answer: npt.NDArray[Any],
        value: npt.NDArray[Any],
        known: npt.NDArray[np.bool_],
        region: npt.NDArray[np.bool_] | None,
        spacing: Sequence[float],
        structures: Mapping[str, npt.NDArray[np.bool_]] | None = None,
        distances: bool = True,
    ) -> dict[str, float]:
        """Compute the metrics of one case, without the N axis: `dice` (mean over known structures), `dice.NAME`, …

        `distances=False` leaves out the slow surface metrics; `n` is 1 if anything is known, else 0.
        """


def expect_pooled_task(task: Task) -> PooledTask:
    """Return a task of one answer per visit or subject as what it is; its level tells, not its class."""
    assert task.level != "voxel", f"{task.name} is a voxel task"
    return cast(PooledTask, task)


def expect_voxel_task(task: Task) -> VoxelTask:
    """Return a task of one value per voxel as what it is; its level tells, not its class."""
    assert task.level == "voxel", f"{task.name} is no voxel task"
    return cast(VoxelTask, task)
