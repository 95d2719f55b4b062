"""How visits become one answer: one file per fusion, one registry.

A fusion is built as `Fusion(channels, visits, width)`: channels of each level it reads (`DEPTHS` says how many), the
number of visit slots, the width of its answer. Tokens without space (tables) always go through `concat.Visits`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from polytask.model.time.concat import Concat


class TimeFusion(Protocol):
    """An `nn.Module` that joins the visits of a subject."""

    def __call__(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Maps `[B, V, C, *space]` of the needed levels, finest first, `known [B, V]`, `day [B, V]` →
        `[B, width]`. Values of unknown visits are zero and must not matter."""


TIMES: dict[str, Callable[[Sequence[int], int, int], TimeFusion]] = {"concat": Concat}
DEPTHS: dict[str, int] = {"concat": 1}
"""How many of the deepest levels a fusion reads."""
