"""Hard sharing: one encoder for all tasks (Caruana, Machine Learning 28, 1997)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, TaskCut
from polytask.model.roles import TRUNK, ParameterRoles, assign_role


class HardSharing(nn.Module):
    """One encoder for all tasks (Caruana 1997); the cut lies behind every level."""

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.encoder = Encoder(spec)

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        for level, shared in enumerate(self.encoder(x) if tasks else ()):
            readers = [t for t in tasks if level in self.needs[t]]
            leaves = cut(shared, readers) if readers else {}
            for task in tasks:
                pyramids[task].append(leaves.get(task))
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: every parameter is trunk."""
        return assign_role(self, "", TRUNK)
