"""Listens to what the trunk of a network computes: the maps of every image, before any task reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class TrunkListener(Protocol):
    """Hears the trunk of a network whose `listener` it is. Without one nothing is computed and nothing is kept."""

    def begin(self, slots: Sequence[int], in_windows: bool) -> None:
        """Say which visit slots the next maps belong to, and whether they are those of sliding windows."""

    def note(self, image: str, pyramids: Mapping[str, Sequence[Tensor | None]]) -> None:
        """Hear the pyramids of a view of an image: task → maps `[N, C, *space]`, None where the task reads none.

        N is a multiple of the number of slots: windows, or the slices of a volume, follow each other slot by slot.
        """
