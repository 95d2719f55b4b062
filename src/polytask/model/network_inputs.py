"""What a network reads: the tensors of a batch, by name."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor


class NetworkInputs(Protocol):
    """The input side of `prepare.Batch`, where the shapes are described."""

    @property
    def visit_known(self) -> Tensor: ...
    @property
    def day(self) -> Tensor: ...
    @property
    def whole(self) -> dict[str, Tensor]: ...
    @property
    def patch(self) -> dict[str, Tensor]: ...
    @property
    def channel_known(self) -> dict[str, Tensor]: ...
    @property
    def tables(self) -> dict[str, Tensor]: ...
    @property
    def table_known(self) -> dict[str, Tensor]: ...
    @property
    def bags(self) -> dict[str, Tensor]: ...
    @property
    def bag_known(self) -> dict[str, Tensor]: ...
