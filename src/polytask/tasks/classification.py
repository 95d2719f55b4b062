"""Head, loss, decoding and metrics of classification: exactly one of several classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from polytask.array_types import NAN
from polytask.kinds.constant_losses import clamp_class_shares
from polytask.tasks.confusion import (
    average_over_classes,
    build_confusion_matrix,
    compute_accuracy,
    compute_f1,
    compute_sensitivity,
    compute_specificity,
)
from polytask.tasks.heads_and_losses import ItemCriterion, make_linear_head
from polytask.tasks.ranking import compute_auc
from polytask.tasks.task import Arrays, Criterion, Prediction, TaskLevel


def make_weighted_cross_entropy(weights: Sequence[float]) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a loss per item: the weight of its class times −log p of that class."""

    def loss(output: Tensor, value: Tensor) -> Tensor:
        w = torch.tensor(list(weights), device=output.device)
        value = value.long()
        return w[value] * cross_entropy(output, value, reduction="none")

    return loss


@dataclass(frozen=True)
class Classification:
    """Exactly one of several classes: cross-entropy.

    With `balanced` a class has the weight 1 / (number of classes · its share), so that every class counts alike and the
    mean weight is 1; the best constant predictor is then the uniform one.
    """

    kind: ClassVar[str] = "classification"
    primary: ClassVar[str] = "auc"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    classes: tuple[str, ...]
    frequencies: tuple[float, ...] = ()
    balanced: bool = False
    constant: float = 1.0

    @property
    def outputs(self) -> int:
        """Number of channels: one logit for each class."""
        return len(self.classes)

    def _shares(self) -> npt.NDArray[np.float64]:
        return clamp_class_shares(self.frequencies or [1.0] * self.outputs)

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features] → [N, classes]`; biases are the log of the training shares, or 0 if balanced."""
        f = self._shares()
        return make_linear_head(features, (np.zeros(f.size) if self.balanced else np.log(f)).tolist())

    def criterion(self) -> Criterion:
        """Make the loss: cross-entropy, with class weights if balanced."""
        f = self._shares()
        weights = 1 / (f.size * f) if self.balanced else np.ones(f.size)
        return ItemCriterion(make_weighted_cross_entropy(weights.tolist()), self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn logits `[N, classes]` into probabilities `p [N, classes]`."""
        return {"p": output.float().softmax(1)}

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cells of one row: the most probable class, and the probability of every class."""
        p = prediction["p"][row]
        cells: dict[str, str | float] = {"": self.classes[int(p.argmax())]}
        return cells | {f".p.{c}": float(v) for c, v in zip(self.classes, p, strict=True)}

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute the metrics of N items. With two classes the second one is positive; with more, each class is
        compared with all others, and the mean over the classes is given too."""
        known = np.asarray(known, dtype=bool)
        p, truth = prediction["p"][known], np.asarray(value)[known].astype(np.int64)
        m = build_confusion_matrix(truth, p.argmax(1), self.outputs)
        each = range(self.outputs)
        metrics = {"n": float(truth.size), "accuracy": compute_accuracy(m)}
        metrics["balanced_accuracy"] = average_over_classes([compute_sensitivity(m, k) for k in each])
        metrics["f1"] = average_over_classes([compute_f1(m, k) for k in each])
        if self.outputs == 2:
            return metrics | {
                "auc": compute_auc(p[:, 1], truth == 1),
                "sensitivity": compute_sensitivity(m, 1),
                "specificity": compute_specificity(m, 1),
            }
        for k, c in enumerate(self.classes):
            metrics[f"auc.{c}"] = compute_auc(p[:, k], truth == k)
            metrics[f"sensitivity.{c}"], metrics[f"specificity.{c}"] = (
                compute_sensitivity(m, k),
                compute_specificity(m, k),
            )
        for name in ("auc", "sensitivity", "specificity"):
            metrics[name] = average_over_classes([metrics[f"{name}.{c}"] for c in self.classes])
        return metrics

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute 2·AUC − 1; if a class does not occur, from the classes whose AUC is defined."""
        area = metrics.get("auc", NAN)
        if np.isnan(area):
            defined = [
                metrics[f"auc.{c}"] for c in self.classes if not np.isnan(metrics.get(f"auc.{c}", NAN))
            ]
            area = average_over_classes(defined)
        return 2 * area - 1
