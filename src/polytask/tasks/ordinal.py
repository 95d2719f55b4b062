"""Head, loss, decoding and metrics of ordinal tasks: exactly one of several ordered classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from polytask.array_types import NAN
from polytask.kinds.class_balance import compute_class_weights
from polytask.kinds.constant_losses import clamp_class_shares
from polytask.kinds.ordinal import find_median_grades
from polytask.tasks.confusion import build_confusion_matrix, compute_accuracy, compute_quadratic_kappa
from polytask.tasks.heads_and_losses import CumulativeHead, ItemCriterion, weigh_classes
from polytask.tasks.ranking import compute_auc
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel

MIN_THRESHOLD_GAP = 1e-6
"""Smallest distance of two neighboring log-odds in the loss, so that its logarithm stays finite."""


def compute_cumulative_loss(output: Tensor, value: Tensor) -> Tensor:
    """Compute −log P(y = value) `[n]` from the log-odds of y > k, `output [n, K − 1]`, which fall with k.

    A middle class lies between the log-odds a of the threshold below it and the log-odds b < a of the one above. Its
    probability is σ(a) − σ(b) = σ(a) · σ(−b) · (1 − exp(b − a)), and the logarithm of this product is finite even for
    an extreme score.
    """
    value = value.long()
    last = output.shape[1]
    above = output.gather(1, (value - 1).clamp_min(0)[:, None]).squeeze(1)
    below = output.gather(1, value.clamp_max(last - 1)[:, None]).squeeze(1)
    inner = (value > 0) & (value < last)
    # The two end classes have one threshold only. They get a harmless gap of 1 here: `where` would still pass the NaN
    # gradient of a logarithm of 0 from the branch that is not taken.
    gap = torch.where(inner, (above - below).clamp_min(MIN_THRESHOLD_GAP), torch.ones_like(above))
    zero = torch.zeros_like(above)
    terms = torch.where(value > 0, logsigmoid(above), zero) + torch.where(
        value < last, logsigmoid(-below), zero
    )
    return -(terms + torch.where(inner, torch.log(-torch.expm1(-gap)), zero))


@dataclass(frozen=True)
class Ordinal:
    """Exactly one of several ordered classes: one score against ordered cut-points (rank-consistent), likelihood.

    With `balanced` a grade has the weight 1 / (number of grades · its share among the drawn cases), so that every grade
    counts alike and the mean weight is 1; the cut-points then start at even shares. As for classes, the probabilities
    are those of a case whose grade was drawn evenly, and the answer is their median: nothing turns them back to the
    shares of the cohort, because the median would then be the commonest grade again.
    """

    kind: ClassVar[str] = "ordinal"
    primary: ClassVar[str] = "kappa"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    classes: tuple[str, ...]
    frequencies: tuple[float, ...] = ()
    balanced: bool = False
    drawn_shares: tuple[float, ...] = ()
    constant: float = 1.0
    applies_when: Conditions = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Number of channels: one log-odds for each threshold between two classes."""
        return len(self.classes) - 1

    def _shares(self) -> npt.NDArray[np.float64]:
        return clamp_class_shares(self.frequencies or [1.0] * len(self.classes))

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features] → [N, classes − 1]`; cut-points start at the training shares, or at even ones if
        balanced."""
        even = np.full(len(self.classes), 1 / len(self.classes))
        return CumulativeHead(features, (even if self.balanced else self._shares()).tolist())

    def criterion(self) -> Criterion:
        """Make the loss: the negative log-likelihood of the cumulative model, with class weights if balanced."""
        if not self.balanced:
            return ItemCriterion(compute_cumulative_loss, self.constant)
        weights = compute_class_weights(self._shares().tolist(), self.drawn_shares)
        return ItemCriterion(weigh_classes(compute_cumulative_loss, weights.tolist()), self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn log-odds `[N, classes − 1]` into probabilities `p [N, classes]`."""
        # cummin repairs log-odds that rounding has put out of order, so that no probability is negative.
        over = output.float().cummin(1).values.sigmoid()
        ends = over.new_ones(len(over), 1), over.new_zeros(len(over), 1)
        p = -torch.cat([ends[0], over, ends[1]], dim=1).diff(dim=1)
        return {"p": p / p.sum(1, keepdim=True)}

    def grade(self, prediction: Arrays) -> npt.NDArray[np.int64]:
        """Find the median class `[N]`, which is the answer."""
        return find_median_grades(prediction["p"])

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cells of one row: the median class, and the probability of every class."""
        p = prediction["p"][row : row + 1]
        cells: dict[str, str | float] = {"": self.classes[int(self.grade({"p": p})[0])]}
        return cells | {f".p.{c}": float(v) for c, v in zip(self.classes, p[0], strict=True)}

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute quadratic κ, MAE in classes, accuracy, and `auc.CLASS`: this class or higher against lower ones."""
        known = np.asarray(known, dtype=bool)
        p, truth = np.asarray(prediction["p"], np.float64)[known], np.asarray(value)[known].astype(np.int64)
        answer = self.grade({"p": p})
        m = build_confusion_matrix(truth, answer, len(self.classes))
        metrics = {
            "n": float(truth.size),
            "kappa": compute_quadratic_kappa(m),
            "accuracy": compute_accuracy(m),
        }
        metrics["mae"] = float(np.abs(truth - answer).mean()) if truth.size else NAN
        for k, c in enumerate(self.classes[1:], start=1):
            metrics[f"auc.{c}"] = compute_auc(p[:, k:].sum(1), truth >= k)
        return metrics

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Return the quadratic κ as skill."""
        return metrics.get("kappa", NAN)
