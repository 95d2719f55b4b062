"""The loss of a segmentation: Dice plus cross-entropy per image, with unknown structures and voxels left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

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
from polytask.tasks.target import Target


def compute_dice_terms(overlap: Tensor, predicted: Tensor, truth: Tensor, expected: Tensor) -> Tensor:
    """Compute 1 − soft Dice per image and structure `[n, K]`, from sums of probabilities and of voxels.

    For a structure that does not occur, Dice is 0 whatever is predicted. Its term is predicted / (predicted +
    `expected`) instead, where `expected` is the usual volume of the structure: the term is ½ for the constant predictor
    and 0 for an empty answer.
    """
    overlap_terms = 1 - 2 * overlap / (predicted + truth).clamp_min(1e-6)
    return torch.where(truth > 0, overlap_terms, predicted / (predicted + expected).clamp_min(1e-6))


def compute_exclusive_terms(
    output: Tensor,
    value: Tensor,
    known: Tensor,
    region: Tensor,
    fractions: Tensor,
    all_known: bool | None = None,
) -> Tensor:
    """Compute the loss per image `[n]` of labels that exclude each other.

    The loss is marginal: a label that is unknown in an image belongs to its background there, and the probability of
    this background is the sum over background and unknown labels.

    Args:
        output: logits `[n, 1 + K, *s]`, background first.
        value: label of each voxel `[n, *s]`, 0 = background.
        known: whether each label is known in the image `[n, K]`.
        region: where the answer counts `[n, *s]`.
        fractions: usual share of the voxels of each label `[K]`.
        all_known: whether `known` is true everywhere; read from it by default.
    """
    log_p = output.flatten(2).log_softmax(1)
    inside = region.flatten(1)
    voxels = inside.sum(1, keepdim=True).float()
    named = torch.cat([torch.ones_like(known[:, :1]), known], dim=1)
    label = torch.where(inside, value.flatten(1), torch.zeros_like(value.flatten(1))).long()
    # A voxel with a label that is unknown in this image becomes background: the value must not be read.
    label = label * named.gather(1, label)
    judged = log_p
    if not (bool(known.all()) if all_known is None else all_known):
        merged = ~named
        merged[:, 0] = True
        background = log_p.masked_fill(~merged[:, :, None], float("-inf")).logsumexp(1, keepdim=True)
        judged = torch.cat([background, log_p[:, 1:]], dim=1)
    right = judged.gather(1, label[:, None]).squeeze(1)
    cross = -(right * inside).sum(1) / voxels.squeeze(1).clamp_min(1)
    truth = (label[:, None] == torch.arange(1, named.shape[1], device=label.device)[None, :, None]).float()
    # `right` is the log probability of the true label of each voxel, so that this sums p over each structure.
    overlap = torch.bmm(truth, right.exp()[:, :, None]).squeeze(2)
    predicted = torch.bmm(log_p[:, 1:].exp(), inside.float()[:, :, None]).squeeze(2)
    dice = compute_dice_terms(overlap, predicted, truth.sum(2), fractions * voxels)
    return cross + (dice * known).sum(1) / known.sum(1).clamp_min(1)


def compute_overlapping_terms(
    output: Tensor, value: Tensor, known: Tensor, region: Tensor, fractions: Tensor
) -> Tensor:
    """Compute the loss per image `[n]` of structures that may overlap, as the mean over the known structures.

    `output` are logits `[n, K, *s]` and `value` masks `[n, K, *s]`; the rest is as in `compute_exclusive_terms`.
    """
    logits, inside = output.flatten(2), region.flatten(1)[:, None]
    voxels = inside.sum(2).float()
    judged = inside & known[:, :, None]
    truth = torch.where(judged, value.flatten(2), torch.zeros_like(value.flatten(2))).float()
    cross = binary_cross_entropy_with_logits(logits, truth, judged.float(), reduction="none")
    cross = cross.sum(2) / voxels.clamp_min(1)
    p = logits.sigmoid()
    predicted = torch.bmm(p, inside.float().movedim(1, 2)).squeeze(2)
    dice = compute_dice_terms((p * truth).sum(2), predicted, truth.sum(2), fractions * voxels)
    return ((cross + dice) * known).sum(1) / known.sum(1).clamp_min(1)


class OverlapCriterion(nn.Module):
    """The mean loss over images in which anything is known; deep supervision weights the levels 1, ½, ¼, … (scaled).

    `cldice` is the weight of 1 − soft clDice of the structures at the places `thin`, at the finest level only: picked
    voxels of a thin line are no line.
    """

    def __init__(
        self,
        fractions: Sequence[float],
        exclusive: bool,
        constant: float,
        thin: Sequence[int] = (),
        cldice: float = 0.0,
    ) -> None:
        super().__init__()
        self.fractions, self.exclusive, self.constant = list(fractions), exclusive, constant
        self.thin, self.cldice = list(thin), cldice

    def _find_counted_images(self, target: Target) -> Tensor:
        is_counted = target.known.bool().any(1)
        return is_counted if target.region is None else is_counted & target.region.bool().flatten(1).any(1)

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the images that have a known structure and at least one voxel in the region."""
        return self._find_counted_images(target).sum().float()

    def forward(self, output: Any, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, 1 + K or K, *space]`, or from a list of them, finest first.

        Targets are shrunk to the coarser levels by picking voxels.
        """
        outputs = list_output_levels(output)
        host, device = get_host_target(target), find_output_device(outputs)
        is_counted = self._find_counted_images(host)
        if not bool(is_counted.any()):
            return make_absent_loss(outputs)
        terms_of: Callable[..., Tensor] = compute_overlapping_terms
        if self.exclusive:
            all_known = bool(host.known[is_counted].all())
            terms_of = partial(compute_exclusive_terms, all_known=all_known)
        rows = index_rows(is_counted, device)
        value, known = target.value[rows], target.known[rows].bool()
        with disable_autocast(outputs):
            fractions = torch.tensor(self.fractions).to(device, non_blocking=True)
            total = torch.zeros((), device=device)
            for weight, level in zip(compute_level_weights(len(outputs)), outputs, strict=True):
                space = level.shape[2:]
                if target.region is None:
                    region = torch.ones((len(value), *space), dtype=torch.bool, device=device)
                else:
                    region = shrink_to_grid(target.region[rows].bool(), space)
                # Indexing copies, so the usual case of a batch with every image known keeps the array as it is.
                judged = level if bool(is_counted.all()) else level[rows]
                truth = shrink_to_grid(value, space)
                terms = terms_of(judged.float(), truth, known, region, fractions)
                if self.cldice and level is outputs[0]:
                    terms = terms + self.cldice * self._compare_lines(judged.float(), truth, known, region)
                total = total + weight * terms.sum()
            return total / self.constant, is_counted.sum().float()

    def _compare_lines(self, output: Tensor, value: Tensor, known: Tensor, region: Tensor) -> Tensor:
        """Compute 1 − soft clDice per image `[n]`, as the mean over the thin structures that are known and occur."""
        # Few trainings need it.
        from polytask.tasks.centerlines import average_centerline_terms

        p = output.softmax(1)[:, 1:] if self.exclusive else output.sigmoid()
        truth = [value == k + 1 if self.exclusive else value[:, k] > 0 for k in self.thin]
        counts = known[:, self.thin].view(len(known), -1, *[1] * (region.dim() - 1))
        return average_centerline_terms(p[:, self.thin], torch.stack(truth, 1), counts & region[:, None])

    def update(self) -> None:
        """Do nothing: this loss has no state."""
