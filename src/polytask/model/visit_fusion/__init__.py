"""How visits become one answer: one file per fusion, one registry.

A fusion is built as `Fusion(channels, visits, width, dims)`: the channels of each level that it reads
(`find_visit_levels` says which), the number of visit slots, the width of its answer, 2D or 3D. Tokens without space
(tables) always go through `SideBySideVisits`. A visit task that reads its history uses `past`, whatever the plan says:
the others see all visits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from polytask.model.visit_fusion.correlation import VisitCorrelation
from polytask.model.visit_fusion.difference import VisitDifference
from polytask.model.visit_fusion.past_visits import PastVisits
from polytask.model.visit_fusion.visit_attention import VisitAttention
from polytask.model.visit_fusion.visit_concat import VisitConcat


class TimeFusion(Protocol):
    """An `nn.Module` that joins the visits of a subject."""

    def __call__(self, maps: Sequence[Tensor], known: Tensor, day: Tensor) -> Tensor:
        """Join maps `[B, V, C, *space]` of the needed levels, finest first, with `known [B, V]`, `day [B, V]` → `[B,
        width]`.

        What stands at unknown visits must not matter.
        """


VISIT_FUSIONS: dict[str, Callable[[Sequence[int], int, int, int], TimeFusion]] = {
    "concat": VisitConcat,
    "difference": VisitDifference,
    "correlation": VisitCorrelation,
    "attention": VisitAttention,
    "past": PastVisits,
}
FUSION_DEPTHS: dict[str, int] = {"concat": 3, "difference": 3, "correlation": 3, "attention": 3, "past": 3}
"""How many of the deepest levels a fusion reads, unless the plan names levels."""
MIN_FUSION_VISITS: dict[str, int] = {
    "concat": 1,
    "difference": 2,
    "correlation": 2,
    "attention": 1,
    "past": 1,
}
"""How many visit slots a fusion needs at least; built with fewer it raises `PolytaskError`."""


def find_visit_levels(fusion: str, named: Sequence[int], stages: int) -> list[int]:
    """Find the levels of a pyramid (0 = finest) that a fusion reads.

    Args:
        fusion: its name. stages: number of levels of the pyramid.
        named: levels that the plan names, counted from the deepest, which is 1; () = as many as the fusion is made for.
            Levels that an encoder does not have are left out.
    """
    wanted = named or range(1, FUSION_DEPTHS[fusion] + 1)
    return sorted(stages - depth for depth in wanted if depth <= stages)
