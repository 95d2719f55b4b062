"""The cut: the one place where a sharing block knows of balancing.

A cut turns a shared tensor into what each task reads. The plain one gives every task the tensor itself; a
balancing rule gives every task a leaf of its own, so that one backward pass leaves T gradients in T leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Cut = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]


def no_cut(shared: Tensor, tasks: Sequence[str]) -> dict[str, Tensor]:
    """Every task reads the shared tensor itself."""
    return dict.fromkeys(tasks, shared)
