"""Head, loss, decoding and metrics of masks: labels that exclude each other, or overlapping structures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from polytask.array_types import NAN
from polytask.kinds.constant_losses import clamp_structure_shares
from polytask.tasks.heads_and_losses import make_voxel_head
from polytask.tasks.mask_metrics import compute_mask_metrics
from polytask.tasks.mask_sizes import convert_sizes_to_pixels
from polytask.tasks.overlap_criterion import OverlapCriterion
from polytask.tasks.skeletons import compute_centerline_dice
from polytask.tasks.task import Criterion, Prediction, TaskLevel


@dataclass(frozen=True)
class Segmentation:
    """Masks: Dice plus cross-entropy, softmax with background when `exclusive`, else a sigmoid per structure.

    Args:
        fractions: mean share of the voxels (inside the region) of each structure in train.
        tolerance: tolerance of the surface Dice, in `unit`.
        unit: `mm`, or `px` if the images do not say how large a pixel is.
        thin: structures that are lines, such as vessels: they get the metric clDice.
        cldice: weight of 1 − soft clDice of the thin structures in the loss, see `centerlines.py`; 0 = none.
    """

    kind: ClassVar[str] = "segmentation"
    primary: ClassVar[str] = "dice"
    higher: ClassVar[bool] = True

    name: str
    structures: tuple[str, ...]
    exclusive: bool
    level: TaskLevel = "voxel"
    fractions: tuple[float, ...] = ()
    tolerance: float = 2.0
    constant: float = 1.0
    unit: str = "mm"
    thin: tuple[str, ...] = ()
    cldice: float = 0.0

    @property
    def outputs(self) -> int:
        """Number of channels: one logit for each structure, and one for the background if exclusive."""
        return len(self.structures) + int(self.exclusive)

    def _shares(self) -> npt.NDArray[np.float64]:
        return clamp_structure_shares(
            self.fractions or [1 / (1 + len(self.structures))] * len(self.structures), self.exclusive
        )

    def head(self, features: int, dims: int) -> nn.Module:
        """Make the head; its biases are the log of the training shares (exclusive) or their log-odds."""
        f = self._shares()
        bias = np.log(np.append(1 - f.sum(), f)) if self.exclusive else np.log(f / (1 - f))
        return make_voxel_head(features, dims, bias.tolist())

    def criterion(self) -> Criterion:
        """Make the loss: Dice plus cross-entropy, see `overlap_criterion.py`."""
        thin = [self.structures.index(name) for name in self.thin]
        return OverlapCriterion(self._shares().tolist(), self.exclusive, self.constant, thin, self.cldice)

    def decode(self, output: Tensor) -> Prediction:
        """Turn logits into probabilities `p` of the same shape, by softmax (exclusive) or sigmoid."""
        return {"p": output.float().softmax(1) if self.exclusive else output.float().sigmoid()}

    def answer(self, prediction: Prediction) -> Tensor:
        """Return the most probable label `[N, *space]`, or all structures of probability ½ or more `[N, K, *space]`."""
        p = prediction["p"]
        return p.argmax(1).to(torch.uint8) if self.exclusive else (p >= 0.5).to(torch.uint8)

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
        """Compute the metrics of one case: for each known structure NAME, and as the mean over structures.

        `dice.NAME`, `surface_dice.NAME`, `hd95.NAME` (in `unit`), `cldice.NAME` for thin structures, `volume.NAME` (of
        the truth) and `volume_error.NAME` (predicted − true), both in ml, in 2D cm², for the unit `px` in pixels;
        `empty_truth.NAME` and `empty_answer.NAME` (0 or 1). The mean is over the structures for which a metric is
        defined.

        `distances=False` leaves out surfaces and center lines, which take most of the time.
        """
        structure_metrics: dict[str, float] = {}
        each: dict[str, list[float]] = {}
        inside = None if region is None or np.all(region) else np.asarray(region, bool)
        spacing = spacing if self.unit == "mm" else [1.0] * len(spacing)
        for k, name in enumerate(self.structures):
            if not known[k]:
                continue
            drawn, truth = (
                (np.asarray(x) == k + 1 if self.exclusive else np.asarray(x[k]) > 0) for x in (answer, value)
            )
            of_structure = compute_mask_metrics(drawn, truth, spacing, self.tolerance, distances, inside)
            if distances and name in self.thin:
                of_structure["cldice"] = compute_centerline_dice(drawn, truth, inside)
            for metric, v in of_structure.items():
                structure_metrics[f"{metric}.{name}"] = v
                each.setdefault(metric, []).append(v)
        means = {m: [v for v in vs if not np.isnan(v)] for m, vs in each.items() if not m.startswith("empty")}
        metrics = {"n": float(bool(each)), "dice": NAN} | {
            **{m: float(np.mean(vs)) if vs else NAN for m, vs in means.items()},
            **structure_metrics,
        }
        return metrics if self.unit == "mm" else convert_sizes_to_pixels(metrics, len(spacing))

    def skill(self, metrics: Mapping[str, float]) -> float:
        """Return the mean Dice as skill."""
        return metrics.get("dice", NAN)
