"""Soft center lines of thin structures, and the part of a loss that compares them: soft clDice.

Shit et al., "clDice – a novel topology-preserving loss function for tubular structure segmentation", CVPR 2021. A Dice
sums over voxels, so that a vessel may be cut in two for the price of a few of them. clDice counts how much of each
center line lies inside the other mask.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, max_pool3d, relu

SKELETON_ITERATIONS = 5
"""Erosions until a soft skeleton is complete: structures up to 10 voxels wide shrink to their center lines."""
SMOOTHING = 1.0
"""Voxels added to both parts of a ratio, so that it is defined without a center line."""


def erode_softly(p: Tensor) -> Tensor:
    """Take the minimum over each voxel and its neighbors along the axes: `[n, K, *s]`, 2D or 3D."""
    dims = p.dim() - 2
    pool = max_pool2d if dims == 2 else max_pool3d
    eroded = []
    for axis in range(dims):
        kernel = tuple(3 if a == axis else 1 for a in range(dims))
        eroded.append(-pool(-p, kernel, 1, tuple(k // 2 for k in kernel)))
    return torch.stack(eroded).amin(0)


def dilate_softly(p: Tensor) -> Tensor:
    """Take the maximum over each voxel and all its neighbors, also across corners."""
    return max_pool2d(p, 3, 1, 1) if p.dim() == 4 else max_pool3d(p, 3, 1, 1)


def compute_soft_skeleton(p: Tensor, iterations: int = SKELETON_ITERATIONS) -> Tensor:
    """Compute the soft skeleton of maps `[n, K, *s]` with values from 0 to 1: what openings of ever thinner maps
    remove."""
    skeleton = relu(p - dilate_softly(erode_softly(p)))
    for _ in range(iterations):
        p = erode_softly(p)
        removed = relu(p - dilate_softly(erode_softly(p)))
        skeleton = skeleton + relu(removed - skeleton * removed)
    return skeleton


def compute_centerline_terms(p: Tensor, truth: Tensor) -> Tensor:
    """Compute 1 − soft clDice `[n, K]` from probabilities and true masks `[n, K, *s]`, both 0 where nothing counts."""
    predicted_line, true_line = compute_soft_skeleton(p), compute_soft_skeleton(truth)

    def find_share_inside(line: Tensor, mask: Tensor) -> Tensor:
        inside, whole = (m.flatten(2).sum(2) for m in (line * mask, line))
        return (inside + SMOOTHING) / (whole + SMOOTHING)

    precision, sensitivity = find_share_inside(predicted_line, truth), find_share_inside(true_line, p)
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def average_centerline_terms(p: Tensor, truth: Tensor, judged: Tensor) -> Tensor:
    """Average 1 − soft clDice per image `[n]` over the structures that are judged and occur; 0 where there is none.

    Where a structure does not occur, the Dice term alone speaks against predicting it.

    Args:
        p: probabilities `[n, K, *s]`. truth: whether a voxel is in the structure. judged: where the answer counts.
    """
    # Outside, the truth may hold anything: it is not read.
    mask = torch.where(judged, truth, torch.zeros_like(truth)).to(p.dtype)
    terms = compute_centerline_terms(p * judged, mask)
    occurs = mask.flatten(2).amax(2)
    return (terms * occurs).sum(1) / occurs.sum(1).clamp_min(1)
