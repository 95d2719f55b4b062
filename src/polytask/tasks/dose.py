"""A value per voxel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from polytask.tasks.confusion import NAN
from polytask.tasks.dose_loss import DoseCriterion
from polytask.tasks.dvh import dvh_statistics
from polytask.tasks.heads import voxel_head
from polytask.tasks.task import Level, Prediction


@dataclass(frozen=True)
class Dose:
    """A value per voxel, not negative: masked L1 in units of `scale`.

    Args:
        scale: dose that the network sees as 1.
        median: of the training dose inside the region, where a fresh head starts.
        structures: names of the structures whose DVH statistics are given.
        dvh: weight of the histogram part of the loss; 0 leaves it out.
        deviation: mean absolute error of that median in train.
    """

    kind: ClassVar[str] = "dose"
    primary: ClassVar[str] = "mae"
    higher: ClassVar[bool] = False

    name: str
    level: Level = "voxel"
    unit: str = ""
    scale: float = 1.0
    structures: tuple[str, ...] = ()
    dvh: float = 0.0
    deviation: float = 1.0
    median: float = 0.0
    constant: float = 1.0

    @property
    def outputs(self) -> int:
        """The dose in units of `scale`."""
        return 1

    def head(self, features: int, dims: int) -> nn.Module:
        """Starts at the training median."""
        return voxel_head(features, dims, [self.median / self.scale])

    def criterion(self) -> nn.Module:
        """See `dose_loss.py`."""
        return DoseCriterion(self.scale, self.dvh, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """`value [N, *space]` in the task's unit, not below 0."""
        return {"value": (output.float()[:, 0] * self.scale).clamp_min(0)}

    def answer(self, prediction: Prediction) -> Tensor:
        """The value."""
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
        """`mae` inside the region; for the given masks `dvh.NAME.STAT` (predicted − true: mean, D99, …) and `dvh`,
        the mean of their absolute values. Voxels outside the region are in no structure."""
        inside = np.ones(np.shape(value), bool) if region is None else np.asarray(region, bool)
        if not np.any(known) or not inside.any():
            return {"n": 0.0, "mae": NAN}
        truth, drawn = (np.where(inside, np.asarray(x, np.float64), 0.0) for x in (value, answer))
        found = {"n": 1.0, "mae": float(np.abs(truth - drawn)[inside].mean())}
        each: dict[str, float] = {}
        for name, mask in (structures or {}).items():
            judged = np.asarray(mask, bool) & inside
            was, now = (dvh_statistics(d, judged, spacing) for d in (truth, drawn))
            each |= {f"dvh.{name}.{s}": now[s] - was[s] for s in was}
        if each:
            found["dvh"] = float(np.mean(np.abs(list(each.values()))))
        return found | each

    def skill(self, metrics: Mapping[str, float]) -> float:
        """1 − MAE / MAE of the training median."""
        return 1 - metrics.get("mae", NAN) / self.deviation if self.deviation > 0 else NAN
