"""A share between 0 and 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polytask.tasks.heads_and_losses import ItemCriterion, make_linear_head
from polytask.tasks.task import Arrays, Prediction, TaskLevel


def sum_deviance(truth: npt.NDArray[np.float64], mean: npt.NDArray[np.float64]) -> float:
    """Binomial deviance 2 Σ [y log(y / μ) + (1 − y) log((1 − y) / (1 − μ))], where 0 log 0 = 0."""
    parts = [(truth, mean), (1 - truth, 1 - mean)]
    return float(
        sum(2 * np.where(y > 0, y * np.log(np.where(y > 0, y / m, 1.0)), 0.0).sum() for y, m in parts)
    )


@dataclass(frozen=True)
class Proportion:
    """A share between 0 and 1: binomial deviance on the logit scale."""

    kind: ClassVar[str] = "proportion"
    primary: ClassVar[str] = "d2"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    mean: float = 0.5
    deviation: float = 0.25
    constant: float = 1.0

    @property
    def outputs(self) -> int:
        return 1

    def head(self, features: int, dims: int) -> nn.Module:
        return make_linear_head(features, [math.log(self.mean / (1 - self.mean))])

    def criterion(self) -> nn.Module:
        def loss(output: Tensor, value: Tensor) -> Tensor:
            z, y = output.squeeze(1), value.float()
            own = torch.xlogy(y, y) + torch.xlogy(1 - y, 1 - y)
            return (2 * (own + y * softplus(-z) + (1 - y) * softplus(z))).clamp_min(0)

        return ItemCriterion(loss, self.constant)

    def decode(self, output: Tensor) -> Prediction:
        return {"value": output.float().squeeze(1).sigmoid()}

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        return {"": float(prediction["value"][row])}

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        truth = np.asarray(value, np.float64)[known]
        answer = np.clip(np.asarray(prediction["value"], np.float64)[known], 1e-6, 1 - 1e-6)
        nan = float("nan")
        if truth.size < 2 or np.ptp(truth) == 0:
            return {
                "n": float(truth.size),
                "d2": nan,
                "mae": float(np.abs(answer - truth).mean()) if truth.size else nan,
            }
        whole = sum_deviance(truth, np.full(truth.size, truth.mean()))
        return {
            "n": float(truth.size),
            "d2": 1 - sum_deviance(truth, answer) / whole,
            "mae": float(np.abs(answer - truth).mean()),
        }

    def skill(self, metrics: Mapping[str, float]) -> float:
        return metrics.get("d2", float("nan"))
