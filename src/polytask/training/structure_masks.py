"""The masks of a segmentation as a dose loss reads them, one for each structure."""

from __future__ import annotations

import torch
from torch import Tensor

from polytask.tasks.target import Target


def unpack_structure_masks(target: Target, patched: bool) -> Tensor:
    """Make bool masks `[B·V(, P), K, *space]` from a segmentation target `[B, V(, P), …]`; unknown structures are
    empty."""
    assert target.region is not None
    value, known = target.value.flatten(0, 1), target.known.flatten(0, 1)
    lead = 1 + patched
    # Exclusive structures share one map of labels; overlapping ones have a plane each.
    if target.value.dim() == target.region.dim():
        labels = torch.arange(1, known.shape[-1] + 1, device=value.device)
        masks = value.unsqueeze(lead) == labels.view(*[1] * lead, -1, *[1] * (value.dim() - lead))
    else:
        masks = value > 0
    flags = known.view(known.shape[0], *[1] * patched, known.shape[1], *[1] * (masks.dim() - lead - 1))
    return masks & flags
