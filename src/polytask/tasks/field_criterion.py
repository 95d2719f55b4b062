"""The loss of a number per voxel: masked L1, and for a dose optionally the distance of dose-volume histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from polytask.tasks.heads_and_losses import (
    compute_level_weights,
    disable_autocast,
    find_output_device,
    get_host_target,
    index_rows,
    list_output_levels,
    make_absent_loss,
    shrink_to_grid,
)
from polytask.tasks.spread import SpreadForm, measure_spread_loss
from polytask.tasks.target import Target


def compute_histogram_distance(predicted: Tensor, truth: Tensor) -> Tensor:
    """Compute the mean |D_x predicted − D_x true| over all x, for the voxels `[n]` of one structure.

    Sorting both makes this the area between the two dose-volume curves. It is differentiable and exact, at least as
    large as the difference of the mean doses, and does not depend on where in the structure the dose lies.
    """
    return (predicted.sort().values - truth.sort().values).abs().mean()


class FieldCriterion(nn.Module):
    """The mean over images of the L1 error inside the region, in units of `scale`, plus `dvh` times the histogram
    distance, averaged over the structures that occur inside the region (finest level only).

    The first output stands for `center + scale · output`. Others tell its `spread`, at first `size` in units of
    `scale`; their loss is added.
    """

    def __init__(
        self,
        scale: float,
        dvh: float,
        constant: float,
        center: float = 0.0,
        spread: SpreadForm | None = None,
        size: float = 1.0,
    ) -> None:
        super().__init__()
        self.scale, self.dvh, self.constant, self.center = scale, dvh, constant, center
        self.spread, self.size = spread, size

    def _find_counted_images(self, target: Target) -> Tensor:
        is_counted = target.known.bool().flatten(1).any(1)
        return is_counted if target.region is None else is_counted & target.region.bool().flatten(1).any(1)

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the images that have a known value and at least one voxel in the region."""
        return self._find_counted_images(target).sum().float()

    def forward(self, output: Any, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, outputs, *space]`, or from a list of them, finest first."""
        outputs = list_output_levels(output)
        host, device = get_host_target(target), find_output_device(outputs)
        is_counted = self._find_counted_images(host)
        if not bool(is_counted.any()):
            return make_absent_loss(outputs)
        rows = index_rows(is_counted, device)
        value = target.value[rows]
        if target.region is None:
            region = torch.ones(value.shape, dtype=torch.bool, device=value.device)
        else:
            region = target.region[rows].bool()
        # Unknown voxels may be NaN: NaN · 0 is NaN, so they are replaced, not only multiplied by the region.
        value = torch.where(region, value, torch.zeros_like(value)).float()
        value = (value - self.center if self.center else value) / self.scale
        with disable_autocast(outputs):
            total = torch.zeros((), device=device)
            for weight, level in zip(compute_level_weights(len(outputs)), outputs, strict=True):
                space = level.shape[2:]
                inside = shrink_to_grid(region, space).flatten(1)
                drawn = level[rows].float().flatten(2)
                error = shrink_to_grid(value, space).flatten(1) - drawn[:, 0]
                terms = error.abs()
                if self.spread is not None:
                    own = measure_spread_loss(self.spread, drawn[:, 1:], error, self.size)
                    terms = terms + self.constant * own
                total = total + weight * ((terms * inside).sum(1) / inside.sum(1).clamp_min(1)).sum()
            if self.dvh > 0 and host.structures is not None:
                finest = outputs[0][rows].float()[:, 0]
                masks = host.structures[is_counted].bool()
                if host.region is not None:
                    masks = masks & host.region[is_counted].bool()[:, None]
                total = total + self.dvh * self._histograms(finest, value, masks)
            return total / self.constant, is_counted.sum().float()

    def _histograms(self, drawn: Tensor, value: Tensor, masks: Tensor) -> Tensor:
        """Sum the distances of `[n, *space]` over the images; `masks [n, S, *space]` are in host memory."""
        total = drawn.new_zeros(())
        for own, truth, structures in zip(drawn.flatten(1), value.flatten(1), masks.flatten(2), strict=True):
            inside = [index_rows(m, drawn.device) for m in structures if bool(m.any())]
            if inside:
                distances = [compute_histogram_distance(own[voxels], truth[voxels]) for voxels in inside]
                total = total + torch.stack(distances).mean()
        return total

    def update(self) -> None:
        """Do nothing: this loss has no state."""
