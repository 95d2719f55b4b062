"""The cut: the one place where a sharing block knows about balancing.

A cut turns a shared tensor into what each task reads. The plain cut gives every task the tensor itself. A balancing
rule gives every task its own leaf, so that one backward pass leaves T gradients in T leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

TaskCut = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]
"""(shared tensor, tasks) → the tensor that each task reads."""


def no_cut(shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
    """Give every task the shared tensor itself."""
    return dict.fromkeys(tasks, shared)
