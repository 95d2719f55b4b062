"""Head, loss, decoding and metrics of classification: exactly one of several classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from polytask.array_types import NAN
from polytask.kinds.class_balance import compute_class_weights
from polytask.kinds.constant_losses import clamp_class_shares
from polytask.tasks.confusion import (
    average_over_classes,
    build_confusion_matrix,
    compute_accuracy,
    compute_f1,
    compute_sensitivity,
    compute_specificity,
)
from polytask.tasks.heads_and_losses import ItemCriterion, make_linear_head, weigh_classes
from polytask.tasks.ranking import compute_auc
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel


def compute_item_cross_entropy(output: Tensor, value: Tensor) -> Tensor:
    """Compute −log p of the true class `[n]` from logits `output [n, classes]`."""
    return cross_entropy(output, value.long(), reduction="none")


@dataclass(frozen=True)
class Classification:
    """Exactly one of several classes: cross-entropy.

    With `balanced` a class has the weight 1 / (number of classes · its share among the drawn cases), so that every
    class counts alike and the mean weight is 1; the best constant predictor is then the uniform one. The probabilities
    are those of a case whose class was drawn evenly: nothing turns them back to the shares of the cohort.
    """

    kind: ClassVar[str] = "classification"
    primary: ClassVar[str] = "auc"
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
        if not self.balanced:
            return ItemCriterion(compute_item_cross_entropy, self.constant)
        weights = compute_class_weights(self._shares().tolist(), self.drawn_shares)
        return ItemCriterion(weigh_classes(compute_item_cross_entropy, weights.tolist()), self.constant)

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
