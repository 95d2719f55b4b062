"""Head, loss, decoding and metrics of a map: a number per voxel that may be negative."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from polytask.array_types import NAN
from polytask.kinds.spread import NO_SPREAD, find_first_size
from polytask.tasks.field_criterion import FieldCriterion
from polytask.tasks.heads_and_losses import make_voxel_head
from polytask.tasks.spread import find_spread_form, make_voxel_spread_head
from polytask.tasks.task import Criterion, Prediction, TaskLevel


@dataclass(frozen=True)
class VoxelMap:
    """A number per voxel: masked L1 of `(value − center) / scale`.

    Args:
        center: median of the training values inside the region, at which a new head starts.
        scale: the distance from the center that the network sees as 1.
        deviation: mean absolute error of the center in train.
        spread: `none`, or key of `SPREADS`.
    """

    kind: ClassVar[str] = "map"
    primary: ClassVar[str] = "mae"
    higher: ClassVar[bool] = False

    name: str
    level: TaskLevel = "voxel"
    unit: str = ""
    center: float = 0.0
    scale: float = 1.0
    deviation: float = 1.0
    constant: float = 1.0
    spread: str = NO_SPREAD

    @property
    def outputs(self) -> int:
        """Number of channels: the distance from `center` in units of `scale`, and what tells its spread."""
        form = find_spread_form(self.spread)
        return 1 if form is None else 1 + form.outputs

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features, *space] → [N, outputs, *space]`; it starts at the center."""
        form, start = find_spread_form(self.spread), 0.0
        if form is None:
            return make_voxel_head(features, dims, [start])
        return make_voxel_spread_head(
            form, features, dims, start, find_first_size(self.deviation, self.scale)
        )

    def criterion(self) -> Criterion:
        """Make the loss: masked L1 in units of `scale`, see `field_criterion.py`."""
        form, size = find_spread_form(self.spread), find_first_size(self.deviation, self.scale)
        return FieldCriterion(self.scale, 0.0, self.constant, self.center, spread=form, size=size)

    def decode(self, output: Tensor) -> Prediction:
        """Turn the output into `value [N, *space]` in the unit of the task, and its `spread` if it tells one."""
        output, form = output.float(), find_spread_form(self.spread)
        told = {} if form is None else {"spread": form.read(output[:, 1:]).sd * self.scale}
        return {"value": output[:, 0] * self.scale + self.center} | told

    def answer(self, prediction: Prediction) -> Tensor:
        """Return the predicted value per voxel, `[N, *space]`."""
        return prediction["value"]

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
        """Compute the metrics of one case inside the region: `mae` and `rmse`."""
        inside = np.ones(np.shape(value), bool) if region is None else np.asarray(region, bool)
        if not np.any(known) or not inside.any():
            return {"n": 0.0, "mae": NAN, "rmse": NAN}
        error = np.asarray(answer, np.float64)[inside] - np.asarray(value, np.float64)[inside]
        return {"n": 1.0, "mae": float(np.abs(error).mean()), "rmse": float(np.sqrt(np.mean(error**2)))}

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute 1 − MAE / MAE of the training median."""
        return 1 - metrics.get("mae", NAN) / self.deviation if self.deviation > 0 else NAN
