"""Pools what the trunk computes of each image into one vector a visit, in the pass that makes the predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from polytask.array_types import Floats


class TrunkFeatures:
    """A `TrunkListener` that keeps for each image and visit slot mean and standard deviation of every map of the trunk.

    The whole view counts where the network has visit or subject tasks, which read it; else the sliding windows of its
    voxel tasks, over which both are averaged.

    Args:
        whole: whether the whole view counts.
    """

    def __init__(self, whole: bool):
        self.whole = whole
        self._slots: Sequence[int] = ()
        self._in_windows = False
        self._pooled: dict[tuple[str, int], list[Tensor]] = {}
        """(image, slot) → `[rows, 2, K]` of each call: mean and deviation of K maps."""

    def begin(self, slots: Sequence[int], in_windows: bool) -> None:
        """Say which visit slots the next maps belong to, and whether they are those of sliding windows."""
        self._slots, self._in_windows = slots, in_windows

    def note(self, image: str, pyramids: Mapping[str, Sequence[Tensor | None]]) -> None:
        """Hear the pyramids of a view; tasks that share a map have it once."""
        if (self._in_windows and self.whole) or not self._slots:
            return
        # After the whole view the crops of small findings pass through the same trunk.
        if not self._in_windows and (image, self._slots[0]) in self._pooled:
            return
        maps = {id(m): m for levels in pyramids.values() for m in levels if m is not None}
        if not maps:
            return
        pooled = torch.cat([pool_map(m) for m in maps.values()], -1)
        for slot, rows in zip(self._slots, pooled.chunk(len(self._slots)), strict=True):
            self._pooled.setdefault((image, slot), []).append(rows)

    def list_vectors(self) -> dict[tuple[str, int], Floats]:
        """List the vectors `[2K]` by image and visit slot: K means, then K deviations."""
        vectors = {}
        for key, calls in self._pooled.items():
            vectors[key] = torch.cat(calls).mean(0).flatten().cpu().numpy().astype("float64")
        return vectors


def pool_map(x: Tensor) -> Tensor:
    """Pool a map `[N, C, *space]` into `[N, 2, C]`: mean and standard deviation over space."""
    flat = x.flatten(2).float()
    mean = flat.mean(-1)
    # By the mean square: `torch.var_mean` takes fifteen times as long on a CPU.
    square = torch.linalg.vector_norm(flat, dim=-1) ** 2 / flat.shape[-1]
    return torch.stack([mean, (square - mean**2).clamp_min(0).sqrt()], 1)
