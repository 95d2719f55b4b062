"""What modulates the maps of an image: the tokens of the tables, one row per image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Condition:
    """Tokens by task `[N, S, width]`, and which of the S tables are known `[N, S]`."""

    tokens: dict[str, Tensor]
    known: Tensor

    @classmethod
    def of(cls, tables: Sequence[tuple[dict[str, Tensor], Tensor]]) -> Condition:
        """Collect the tokens by task `[B, V, width]` and known `[B, V]` of each table; N = B·V."""
        tasks = tables[0][0]
        tokens = {t: torch.stack([by_task[t] for by_task, _ in tables], 2).flatten(0, 1) for t in tasks}
        return cls(tokens, torch.stack([known for _, known in tables], 2).flatten(0, 1))

    def take(self, rows: Tensor | slice) -> Condition:
        """Select some rows, by a mask or indices `[N]` or by a slice."""
        return Condition({t: v[rows] for t, v in self.tokens.items()}, self.known[rows])

    def repeat(self, count: int) -> Condition:
        """Repeat every row `count` times, for the patches of an image."""
        tokens = {t: v.repeat_interleave(count, 0) for t, v in self.tokens.items()}
        return Condition(tokens, self.known.repeat_interleave(count, 0))
