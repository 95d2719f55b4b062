"""Head, loss, decoding and metrics of multilabel tasks: several yes/no findings, each known or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from polytask.array_types import NAN
from polytask.kinds.constant_losses import clamp_label_shares
from polytask.tasks.confusion import (
    average_over_classes,
    build_confusion_matrix,
    compute_accuracy,
    compute_f1,
    compute_sensitivity,
    compute_specificity,
)
from polytask.tasks.heads_and_losses import (
    disable_autocast,
    get_host_target,
    index_rows,
    make_absent_loss,
    make_linear_head,
)
from polytask.tasks.ranking import compute_auc
from polytask.tasks.target import Target
from polytask.tasks.task import Arrays, Conditions, Criterion, Prediction, TaskLevel


class LabelCriterion(nn.Module):
    """Binary cross-entropy over known (item, label) pairs; `present`, `missing` weight the yes and no of each label."""

    def __init__(self, present: Sequence[float], missing: Sequence[float], constant: float) -> None:
        super().__init__()
        self.weights, self.constant = (list(present), list(missing)), constant

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the (item, label) pairs whose value is known."""
        return target.known.sum().float()

    def forward(self, output: Tensor, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, L]`, one logit per label."""
        host = get_host_target(target)
        known = host.known.bool()
        if not bool(known.any()):
            return make_absent_loss(output)
        with disable_autocast(output):
            present, missing = torch.tensor(self.weights).to(output.device, non_blocking=True)
            pairs = index_rows(known.flatten(), output.device)
            value = target.value.flatten()[pairs].float()
            weight = torch.where(
                value > 0.5,
                present.expand(known.shape).flatten()[pairs],
                missing.expand(known.shape).flatten()[pairs],
            )
            logits = output.flatten()[pairs].float()
            terms = weight * binary_cross_entropy_with_logits(logits, value, reduction="none")
            return terms.sum() / self.constant, self.count(host, subjects)

    def update(self) -> None:
        """Do nothing: this loss has no state."""


@dataclass(frozen=True)
class Multilabel:
    """Several yes/no findings, each known or not: binary cross-entropy per label.

    With `balanced`, yes and no of every label count alike.
    """

    kind: ClassVar[str] = "multilabel"
    primary: ClassVar[str] = "auc"
    higher: ClassVar[bool] = True

    name: str
    level: TaskLevel
    labels: tuple[str, ...]
    frequencies: tuple[float, ...] = ()
    balanced: bool = False
    constant: float = 1.0
    applies_when: Conditions = field(default_factory=dict)

    @property
    def outputs(self) -> int:
        """Number of channels: one logit for each label."""
        return len(self.labels)

    def _shares(self) -> npt.NDArray[np.float64]:
        return clamp_label_shares(self.frequencies or [0.5] * self.outputs)

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head `[N, features] → [N, labels]`; its biases are the log-odds of the training shares, 0 if
        balanced."""
        f = self._shares()
        bias = np.zeros(f.size) if self.balanced else np.log(f / (1 - f))
        return make_linear_head(features, bias.tolist())

    def criterion(self) -> Criterion:
        """Make the loss: binary cross-entropy per label, with weights if balanced."""
        f = self._shares()
        # Weighted this way yes and no have the same sum of weights, and the mean weight of known pairs is 1.
        present, missing = (0.5 / f, 0.5 / (1 - f)) if self.balanced else (np.ones(f.size), np.ones(f.size))
        return LabelCriterion(present.tolist(), missing.tolist(), self.constant)

    def decode(self, output: Tensor) -> Prediction:
        """Turn logits `[N, labels]` into probabilities `p [N, labels]`."""
        return {"p": output.float().sigmoid()}

    def columns(self, prediction: Arrays, row: int) -> dict[str, str | float]:
        """Make the cells of one row: the labels with probability ½ or more joined by `;`, and all probabilities."""
        p = prediction["p"][row]
        cells: dict[str, str | float] = {
            "": ";".join(c for c, v in zip(self.labels, p, strict=True) if v >= 0.5)
        }
        return cells | {f".p.{c}": float(v) for c, v in zip(self.labels, p, strict=True)}

    def metrics(
        self, prediction: Arrays, value: npt.NDArray[Any], known: npt.NDArray[np.bool_]
    ) -> dict[str, float]:
        """Compute each metric per label (`auc.LABEL`, `n.LABEL`, …), and its mean over the labels where it is defined.

        `n` counts the items with at least one known label.
        """
        known = np.asarray(known, dtype=bool)
        metrics: dict[str, float] = {"n": float(known.any(1).sum())}
        for k, c in enumerate(self.labels):
            p, truth = prediction["p"][known[:, k], k], np.asarray(value)[known[:, k], k] > 0.5
            m = build_confusion_matrix(truth, p >= 0.5, 2)
            metrics |= {
                f"n.{c}": float(truth.size),
                f"auc.{c}": compute_auc(p, truth),
                f"accuracy.{c}": compute_accuracy(m),
                f"f1.{c}": compute_f1(m, 1),
                f"sensitivity.{c}": compute_sensitivity(m, 1),
                f"specificity.{c}": compute_specificity(m, 1),
            }
        for name in ("auc", "accuracy", "f1", "sensitivity", "specificity"):
            each = [metrics[f"{name}.{c}"] for c in self.labels]
            metrics[name] = average_over_classes([v for v in each if not np.isnan(v)])
        return metrics

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Compute 2·AUC − 1 from the mean AUC."""
        return 2 * metrics.get("auc", NAN) - 1
