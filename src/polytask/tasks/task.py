"""What every kind of task gives the rest: outputs, head, criterion, decoding, metrics, skill.

A task is a frozen dataclass whose fields are the plan's `folds.K.tasks.NAME` mapping; it knows only tensors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from polytask.tasks.target import Target

Level = Literal["voxel", "visit", "subject"]
Prediction = dict[str, Tensor]
"""Decoded outputs, first axis N; what ensembles average. Keys by kind:

classification, ordinal: `p [N, classes]` · multilabel: `p [N, labels]` · regression: `value [N]` (in its unit) ·
survival: `risk [N]` (log hazard ratio or minus expected time), `p [N, horizons]` (probability of the event by then) ·
segmentation: `p [N, 1 + K, *space]` (exclusive, with background) or `[N, K, *space]` · dose: `value [N, *space]`.
"""
Arrays = dict[str, npt.NDArray[Any]]
BY_PATCH = ("patches.", "places.")
"""Beginnings of keys a network adds to a prediction that have a length per slide: the attention on its patches `[N, P]`
(`[N, V, P]` of a subject task) and where they lie. Not answers: they are never put side by side."""


class Criterion(Protocol):
    """A loss: an `nn.Module` so that its state (a risk-set buffer) is saved with the run."""

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """What the loss will be divided by (float scalar), from the target alone, before any forward pass.

        0 = the task is absent.
        """

    def __call__(self, output: Any, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """(sum, count), float32. The mean over all processes and accumulation steps is about 1 when untrained.

        `output` is what the head returns: `[N, outputs(, *space)]`, or for deep supervision a list of them, finest
        first. `subjects` names the N items. Value and known are read only where known.
        """

    def update(self) -> None:
        """Called once after the optimiser's step (a risk-set buffer takes in the step's scores)."""


@runtime_checkable
class Task(Protocol):
    """The common part; `PooledTask` and `VoxelTask` add the metrics of their level."""

    kind: ClassVar[str]
    primary: ClassVar[str]
    """Name of the primary metric in `metrics`."""
    higher: ClassVar[bool]
    """Whether more of the primary metric is better."""

    @property
    def name(self) -> str: ...

    @property
    def level(self) -> Level: ...

    @property
    def outputs(self) -> int:
        """Channels of the head's output."""

    def head(self, features: int, dims: int) -> nn.Module:
        """Pooled: `[N, features] → [N, outputs]`. Voxel: `[N, features, *space] → [N, outputs, *space]` (1×1).

        Biases start at the training fold's frequencies where that is a constant predictor.
        """

    def criterion(self) -> nn.Module:
        """A fresh `Criterion`."""

    def decode(self, output: Tensor) -> Prediction:
        """Head output → probabilities and values, float32."""

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Chance 0, perfect 1, NaN when unknown: Dice, 2·AUC−1, 2C−1, κ, R², 1 − MAE / MAE of a constant."""


class PooledTask(Task, Protocol):
    """Visit and subject tasks."""

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Cells of `predictions.csv`: "" → answer, ".p.CLASS" → probability, ".risk", ".p.T365"."""

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Cohort metrics over N items, each NaN where undefined; always contains `n` (known items)."""


class VoxelTask(Task, Protocol):
    """Tasks with a value per voxel."""

    def answer(self, prediction: Prediction) -> Tensor:
        """Exclusive: uint8 `[N, *space]`; overlapping: uint8 `[N, K, *space]`; dose: float `[N, *space]`."""

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
        """Metrics of one case without the N axis: `dice` (mean over known structures), `dice.NAME`, …

        `distances=False` leaves out what is slow (surfaces); `n` is 1 when anything is known, else 0.
        """


def device_of(output: Tensor | Sequence[Tensor]) -> torch.device:
    """Where an output lives."""
    return output.device if isinstance(output, Tensor) else output[0].device
