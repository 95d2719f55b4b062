"""MMoE: several encoders for all tasks, and for each task a gate over them (Ma et al., KDD 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, LevelModules, NamedModules, TaskCut
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.sharing.expert_gate import ExpertGate, average_places, mix_experts

EXPERTS = 3
"""Number of encoders, whatever the number of tasks."""


class MixtureOfExperts(nn.Module):
    """Several encoders that all tasks read, each task through a gate of its own (Ma et al. 2018).

    A task sees, at every level, the maps of all experts weighed by its gate, image by image. In the paper a gate reads
    the input, a short vector; of an image it reads the means of the experts' deepest maps. The paper has vectors and no
    levels: that one weight per expert holds at all levels is ours, and so is the number of experts.

    The cut lies behind the experts: they are trunk, a gate belongs to its task.
    """

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.experts = LevelModules(Encoder(spec) for _ in range(EXPERTS))
        self.gates = NamedModules({t: ExpertGate(EXPERTS * spec.widths[-1], EXPERTS) for t in needs})

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        if not tasks:
            return pyramids
        by_level = list(zip(*(expert(x) for expert in self.experts), strict=True))
        deepest = [cut(shared, tasks) for shared in by_level[-1]]
        weights = {t: self.gates[t](average_places(*(leaves[t] for leaves in deepest))) for t in tasks}
        for level, maps in enumerate(by_level):
            readers = [t for t in tasks if level in self.needs[t]]
            is_deepest = level == len(by_level) - 1
            leaves_by_expert = deepest if is_deepest else [cut(m, readers) for m in maps] if readers else []
            for task in tasks:
                own = [leaves[task] for leaves in leaves_by_expert] if task in readers else []
                pyramids[task].append(mix_experts(own, weights[task]) if own else None)
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: experts are trunk, gates are private."""
        roles = assign_role(self.experts, "experts.", TRUNK)
        for task, gate in self.gates.items():
            roles |= assign_role(gate, f"gates.members.@{task}.", private_role(task))
        return roles
