"""Head, loss, decoding and metrics of regression: a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn.functional import l1_loss, smooth_l1_loss

from polytask.array_types import NAN
from polytask.kinds.spread import NO_SPREAD
from polytask.tasks.heads_and_losses import ItemCriterion, make_linear_head
from polytask.tasks.spread import (
    find_spread_form,
    make_linear_spread_head,
    measure_spread_loss,
    read_number_spread,
)
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel


def _bound_rounding_error(x: npt.NDArray[np.float64]) -> float:
    """Bound the sum of squares that equal numbers can have, because their mean is rounded."""
    # Each difference is at most about 1e-14 of the largest number (float64 has 16 digits), squared and summed.
    return 1e-28 * x.size * float(np.abs(x).max()) ** 2


@dataclass(frozen=True)
class Regression:
    """A number: smooth L1 on the z-score.

    The loss is quadratic within one standard deviation and linear beyond, so that one mistyped cell does not dominate
    the gradient of the trunk. With the spread `quantile` the answer is the median: the absolute error of the z-score.

    Args:
        mean, sd: mean and standard deviation of the training values; the head starts at the mean.
        deviation: mean absolute error of the training median.
        spread: `none`, or key of `SPREADS`.
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
    spread: str = NO_SPREAD

    @property
    def outputs(self) -> int:
        """Number of channels: the z-score, and what tells its spread."""
        form = find_spread_form(self.spread)
        return 1 if form is None else 1 + form.outputs

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features] → [N, outputs]`; it starts at the training mean, which is the z-score 0."""
        form = find_spread_form(self.spread)
        return (
            make_linear_head(features, [0.0])
            if form is None
            else make_linear_spread_head(form, features, 0.0)
        )

    def criterion(self) -> Criterion:
        """Make the loss: smooth L1 on the z-score, and that of its spread."""
        form = find_spread_form(self.spread)
        measure = l1_loss if self.spread == "quantile" else smooth_l1_loss

        def loss(output: Tensor, value: Tensor) -> Tensor:
            # In float64, since float32 would lose digits where the mean is much larger than sd. MPS has no float64.
            z = ((value.double() if value.device.type != "mps" else value) - self.mean) / self.sd
            z = z.float()
            own = measure(output[:, 0], z, reduction="none")
            if form is None:
                return own
            return own + self.constant * measure_spread_loss(form, output[:, 1:], z - output[:, 0])

        return ItemCriterion(loss, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn z-scores `[N, outputs]` into `value [N]` in the unit of the task, and what `read_number_spread` adds."""
        output = output.float()
        value = output[:, 0] * self.sd + self.mean
        return {"value": value} | read_number_spread(find_spread_form(self.spread), output, value, self.sd)

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
