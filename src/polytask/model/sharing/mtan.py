"""MTAN: one encoder, and for each task attention over its maps (Liu, Johns, Davison, CVPR 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import EncoderSpec, TaskCut
from polytask.model.roles import ParameterRoles, private_role
from polytask.model.sharing.task_attention import ATTENTION_FORMS, AttentionPath


class MTAN(nn.Module):
    """A shared encoder with attention modules per task at every stage (Liu, Johns, Davison 2019).

    Each task masks the last map of a stage. The mask is made of the first map of the stage and of what the task took
    from the level above. Pooled tasks have attention in the encoder too. For the forms see `AttentionPath`. In the
    paper all tasks share the refinement between levels; here each task has its own, so that nothing behind the cut is
    reached by two losses. Only the tasks asked for are computed.
    """

    interacts = False
    branched = True
    forms = ATTENTION_FORMS

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]], form: str = "light"):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.path = AttentionPath(spec, needs, form)

    def forward(
        self, x: Tensor, tasks: Sequence[str], cut: TaskCut, rows: Mapping[str, Tensor] | None = None
    ) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`, of a task in `rows` for those rows only."""
        pyramids: dict[str, list[Tensor | None]] = self.path(
            x, tasks, tasks, cut, lambda _, maps: maps, rows=rows
        )
        return pyramids

    def compute_with_shared(
        self, x: Tensor, tasks: Sequence[str], cut: TaskCut, rows: Mapping[str, Tensor] | None = None
    ) -> tuple[dict[str, list[Tensor | None]], dict[str, list[Tensor | None]]]:
        """Compute the pyramids, and for each task the shared maps before its masks."""
        shared: dict[str, list[Tensor | None]] = {}
        return self.path(x, tasks, tasks, cut, lambda _, maps: maps, shared, rows), shared

    def roles(self) -> ParameterRoles:
        """Return the roles: the encoder is trunk, attention is private."""
        return self.path.roles("path.", private_role)
