"""Head, loss, decoding and metrics of regression: a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn.functional import smooth_l1_loss

from polytask.array_types import NAN
from polytask.tasks.heads_and_losses import ItemCriterion, make_linear_head
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel


def _bound_rounding_error(x: npt.NDArray[np.float64]) -> float:
    """Bound the sum of squares that equal numbers can have, because their mean is rounded."""
    # Each difference is at most about 1e-14 of the largest number (float64 has 16 digits), squared and summed.
    return 1e-28 * x.size * float(np.abs(x).max()) ** 2


@dataclass(frozen=True)
class Regression:
    """A number: smooth L1 on the z-score.

    The loss is quadratic within one standard deviation and linear beyond, so that one mistyped cell does not dominate
    the gradient of the trunk.

    Args:
        mean, sd: mean and standard deviation of the training values; the head starts at the mean.
        deviation: mean absolute error of the training median.
    """

    kind: ClassVar[str] = "regression"
    primary: ClassVar[str] = "r2"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    mean: float = 0.0
    sd: float = 1.0
    unit: str = ""
    deviation: float = 1.0
    constant: float = 1.0
    applies_when: Conditions = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Number of channels: one, the z-score."""
        return 1

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features] → [N, 1]`; it starts at the training mean, which is the z-score 0."""
        return make_linear_head(features, [0.0])

    def criterion(self) -> Criterion:
        """Make the loss: smooth L1 on the z-score."""

        def loss(output: Tensor, value: Tensor) -> Tensor:
            # In float64, since float32 would lose digits where the mean is much larger than sd. MPS has no float64.
            z = ((value.double() if value.device.type != "mps" else value) - self.mean) / self.sd
            return smooth_l1_loss(output.squeeze(1), z.float(), reduction="none")

        return ItemCriterion(loss, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn z-scores `[N, 1]` into `value [N]` in the unit of the task."""
        return {"value": output.float().squeeze(1) * self.sd + self.mean}

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cell of one row: the predicted number."""
        return {"": float(prediction["value"][row])}

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute MAE, RMSE, R² (NaN if the truth does not vary) and Pearson's r (NaN if truth or answer does not)."""
        known = np.asarray(known, dtype=bool)
        truth = np.asarray(value, dtype=np.float64)[known]
        answer = np.asarray(prediction["value"], dtype=np.float64)[known]
        if not truth.size:
            return {"n": 0.0, "mae": NAN, "rmse": NAN, "r2": NAN, "pearson": NAN}
        error = answer - truth
        spread, moved = truth - truth.mean(), answer - answer.mean()
        total, drawn = float((spread**2).sum()), float((moved**2).sum())
        varies = total > _bound_rounding_error(truth)
        both = varies and drawn > _bound_rounding_error(answer)
        return {
            "n": float(truth.size),
            "mae": float(np.abs(error).mean()),
            "rmse": float(np.sqrt((error**2).mean())),
            "r2": 1 - float((error**2).sum()) / total if varies else NAN,
            "pearson": float((spread * moved).sum() / np.sqrt(total * drawn)) if both else NAN,
        }

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute R²; if the truth does not vary, 1 − MAE / MAE of the training median."""
        r2 = metrics.get("r2", NAN)
        return 1 - metrics.get("mae", NAN) / self.deviation if np.isnan(r2) and self.deviation > 0 else r2
