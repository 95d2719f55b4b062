"""Which features each task sees: one file per sharing block, one registry.

A block is built once per image input and turns images into one pyramid per task. To add one, write the file and
name it here; the shared battery of tests finds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torch import Tensor

from polytask.model.cut import Cut
from polytask.model.encoder import EncoderSpec
from polytask.model.roles import Roles
from polytask.model.sharing.hard import Hard
from polytask.model.sharing.single import Single

Pyramid = list[Tensor | None]
Needs = Mapping[str, frozenset[int]]
"""Task → the levels (0 = finest) it reads."""


class Sharing(Protocol):
    """An `nn.Module` built as `Block(spec, needs)`."""

    channels: tuple[int, ...]
    interacts: bool
    """Whether, behind the cut, another task's branch reaches a task's loss."""

    def __call__(self, x: Tensor, tasks: Sequence[str], cut: Cut) -> dict[str, Pyramid]:
        """`[N, planes, *space]` → for each of `tasks` its pyramid, None at levels it does not need."""

    def roles(self) -> Roles:
        """Role of every parameter."""


SHARINGS: dict[str, Callable[[EncoderSpec, Needs], Sharing]] = {"hard": Hard, "single": Single}
