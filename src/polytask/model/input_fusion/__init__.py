"""How sources (images, tables, slides) become one vector for a task: one file per fusion, one registry.

A fusion is built as `Fusion(sources, width)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from polytask.model.input_fusion.film import Film
from polytask.model.input_fusion.source_attention import SourceAttention
from polytask.model.input_fusion.source_concat import SourceConcat


class SourceFusion(Protocol):
    """An `nn.Module` that joins the tokens of one task."""

    def __call__(self, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor | None]:
        """Join tokens `[N, S, width]`, `known [N, S]` into a vector `[N, width]`.

        Also returns weights `[N, S]` that sum to 1 over the known sources, or None if the fusion has no weights.
        """


INPUT_FUSIONS: dict[str, Callable[[int, int], SourceFusion]] = {
    "concat": SourceConcat,
    "attention": SourceAttention,
    "film": Film,
}
