"""Head, loss, decoding and metrics of a dose: a value per voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from polytask.array_types import NAN
from polytask.kinds.spread import NO_SPREAD, find_first_size
from polytask.tasks.dvh import compute_dvh_statistics
from polytask.tasks.field_criterion import FieldCriterion
from polytask.tasks.heads_and_losses import make_voxel_head
from polytask.tasks.spread import find_spread_form, make_voxel_spread_head
from polytask.tasks.task import Criterion, Prediction, TaskLevel


@dataclass(frozen=True)
class Dose:
    """A value per voxel, not negative: masked L1 in units of `scale`.

    Args:
        scale: the dose that the network sees as 1.
        median: median of the training doses inside the region, at which a new head starts.
        structures: names of the structures whose DVH statistics are computed.
        dvh: weight of the histogram part of the loss; 0 leaves it out.
        deviation: mean absolute error of that median in train.
        spread: `none`, or key of `SPREADS`.
    """

    kind: ClassVar[str] = "dose"
    primary: ClassVar[str] = "mae"
    higher: ClassVar[bool] = False

    name: str
    level: TaskLevel = "voxel"
    unit: str = ""
    scale: float = 1.0
    structures: tuple[str, ...] = ()
    dvh: float = 0.0
    deviation: float = 1.0
    median: float = 0.0
    constant: float = 1.0
    spread: str = NO_SPREAD

    @property
    def outputs(self) -> int:
        """Number of channels: the dose in units of `scale`, and what tells its spread."""
        form = find_spread_form(self.spread)
        return 1 if form is None else 1 + form.outputs

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features, *space] → [N, outputs, *space]`; it starts at the training median."""
        form, start = find_spread_form(self.spread), self.median / self.scale
        if form is None:
            return make_voxel_head(features, dims, [start])
        return make_voxel_spread_head(
            form, features, dims, start, find_first_size(self.deviation, self.scale)
        )

    def criterion(self) -> Criterion:
        """Make the loss: masked L1 with an optional histogram part, see `field_criterion.py`."""
        size = find_first_size(self.deviation, self.scale)
        return FieldCriterion(
            self.scale, self.dvh, self.constant, spread=find_spread_form(self.spread), size=size
        )

    def decode(self, output: Tensor) -> Prediction:
        """Turn the output into `value [N, *space]` in the unit of the task, not below 0, and its `spread` if told."""
        output, form = output.float(), find_spread_form(self.spread)
        told = {} if form is None else {"spread": form.read(output[:, 1:]).sd * self.scale}
        return {"value": (output[:, 0] * self.scale).clamp_min(0)} | told

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
        """Compute the metrics of one case: `mae` inside the region, and for the given masks `dvh.NAME.STAT`.

        STAT is `mean`, `D99`, … and its value is predicted − true; `dvh` is the mean of their absolute values. Voxels
        outside the region belong to no structure.
        """
        inside = np.ones(np.shape(value), bool) if region is None else np.asarray(region, bool)
        if not np.any(known) or not inside.any():
            return {"n": 0.0, "mae": NAN}
        # Outside the region the truth may be NaN, which would reach every mean.
        truth, drawn = (np.where(inside, np.asarray(x, np.float64), 0.0) for x in (value, answer))
        metrics = {"n": 1.0, "mae": float(np.abs(truth - drawn)[inside].mean())}
        each: dict[str, float] = {}
        for name, mask in (structures or {}).items():
            judged = np.asarray(mask, bool) & inside
            was, now = (compute_dvh_statistics(d, judged, spacing) for d in (truth, drawn))
            each |= {f"dvh.{name}.{s}": now[s] - was[s] for s in was}
        if each:
            metrics["dvh"] = float(np.mean(np.abs(list(each.values()))))
        return metrics | each

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute 1 − MAE / MAE of the training median."""
        return 1 - metrics.get("mae", NAN) / self.deviation if self.deviation > 0 else NAN
