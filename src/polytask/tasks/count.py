"""Head, loss, decoding and metrics of a count: a number of things, 0 or more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from polytask.array_types import NAN
from polytask.kinds.count import compute_deviance
from polytask.kinds.spread import NO_SPREAD, find_first_size
from polytask.tasks.heads_and_losses import ItemCriterion, make_linear_head
from polytask.tasks.spread import (
    find_spread_form,
    make_linear_spread_head,
    measure_spread_loss,
    read_number_spread,
)
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel

MAX_LOG_RATIO = 5.0
"""Up to exp(5) ≈ 148 times the training mean the expected count is exp(output); beyond, it grows as a straight line."""
SMALLEST_VARIANCE = 1e-2
"""Expected counts below have the spread of this one, so that an error is not divided by nearly nothing."""


@dataclass(frozen=True)
class Count:
    """A number of things, 0 or more: the Poisson deviance of a mean on the log scale.

    Args:
        mean: mean of the training counts; the head starts there.
        unit: what is counted, e.g. lesions.
        deviation: mean absolute error of the training median.
        spread: `none`, or key of `SPREADS`; told in units of √μ, the standard deviation of a Poisson count.
    """

    kind: ClassVar[str] = "count"
    primary: ClassVar[str] = "d2"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    mean: float = 1.0
    unit: str = ""
    deviation: float = 1.0
    constant: float = 1.0
    applies_when: Conditions = field(default_factory=dict)
    spread: str = NO_SPREAD

    @property
    def outputs(self) -> int:
        """Number of channels: the logarithm of the expected count, and what tells its spread."""
        form = find_spread_form(self.spread)
        return 1 if form is None else 1 + form.outputs

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features] → [N, outputs]`; it starts at the log of the training mean."""
        form, start = find_spread_form(self.spread), math.log(self.mean)
        if form is None:
            return make_linear_head(features, [start])
        return make_linear_spread_head(form, features, start, self._find_first_size())

    def _find_first_size(self) -> float:
        return find_first_size(self.deviation, math.sqrt(self.mean))

    def _find_log_mean(self, output: Tensor) -> Tensor:
        """Compute the log of the expected count: the output, flattened above a limit.

        Above the limit the count itself grows as a straight line, so that one bad step cannot overflow.
        """
        # For an output above the limit c: exp(c + log(1 + output − c)) = exp(c) · (1 + output − c). This is linear in
        # the output and has the same slope as exp at c.
        low = output.clamp_max(math.log(self.mean) + MAX_LOG_RATIO)
        return low + torch.log1p(output - low)

    def criterion(self) -> Criterion:
        """Make the loss: the Poisson deviance 2 (y log(y / μ) − y + μ) of each item, where 0 log 0 = 0; and that of the
        spread."""
        form, size = find_spread_form(self.spread), self._find_first_size()

        def loss(output: Tensor, value: Tensor) -> Tensor:
            y, log_mean = value.float(), self._find_log_mean(output[:, 0])
            # y (exp(d) − 1 − d) with d = log(μ / y) is the same, and does not cancel near the optimum.
            gap = log_mean - torch.where(y > 0, y, 1.0).log()
            terms = torch.where(y > 0, y * (torch.expm1(gap) - gap), log_mean.exp())
            own = 2 * terms.clamp_min(0.0)
            if form is None:
                return own
            mean = log_mean.detach().exp()
            error = (y - mean) / mean.clamp_min(SMALLEST_VARIANCE).sqrt()
            return own + self.constant * measure_spread_loss(form, output[:, 1:], error, size)

        return ItemCriterion(loss, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn the output `[N, outputs]` into `value [N]`, the expected count, and what `read_number_spread` adds."""
        output = output.float()
        value = self._find_log_mean(output[:, 0]).exp()
        unit = value.clamp_min(SMALLEST_VARIANCE).sqrt()
        told = read_number_spread(find_spread_form(self.spread), output, value, unit)
        return {"value": value} | {key: numbers.clamp_min(0) for key, numbers in told.items()}

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cell of one row: the expected count, which need not be a whole number."""
        return {"": float(prediction["value"][row])}

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute D² (the explained share of the deviance from the mean; NaN if the truth does not vary), MAE, RMSE."""
        known = np.asarray(known, dtype=bool)
        truth = np.asarray(value, dtype=np.float64)[known]
        # A count below the smallest float32 decodes to 0, whose logarithm would make the deviance infinite.
        answer = np.maximum(
            np.asarray(prediction["value"], dtype=np.float64)[known], np.finfo(np.float32).tiny
        )
        if not truth.size:
            return {"n": 0.0, "d2": NAN, "mae": NAN, "rmse": NAN}
        whole = compute_deviance(truth, truth.mean()).sum() if np.ptp(truth) > 0 else 0.0
        return {
            "n": float(truth.size),
            "d2": 1 - float(compute_deviance(truth, answer).sum() / whole) if whole > 0 else NAN,
            "mae": float(np.abs(answer - truth).mean()),
            "rmse": float(np.sqrt(((answer - truth) ** 2).mean())),
        }

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute D²; if the truth does not vary, 1 − MAE / MAE of the training median."""
        d2 = metrics.get("d2", NAN)
        return 1 - metrics.get("mae", NAN) / self.deviation if np.isnan(d2) and self.deviation > 0 else d2
