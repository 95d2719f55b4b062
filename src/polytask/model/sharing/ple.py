"""PLE: an expert per task and a shared one, mixed by gates after every stage (Tang et al., RecSys 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, LevelModules, NamedModules, TaskCut
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role
from polytask.model.sharing.expert_gate import ExpertGate, average_places, mix_experts


class GatesByLevel(nn.Module):
    """The gates of all levels.

    Args:
        on: level → task → the gate over own and shared expert, for what goes on to the task's next stage.
        shared: level → the gate over all experts, for what goes on to the next stage of the shared expert.
        heads: level → task → the gate over own and shared expert, for what its head sees.
    """

    def __init__(
        self,
        on: Sequence[NamedModules[ExpertGate]],
        shared: Sequence[ExpertGate],
        heads: Sequence[NamedModules[ExpertGate]],
    ):
        super().__init__()
        self.on, self.shared, self.heads = LevelModules(on), LevelModules(shared), LevelModules(heads)


class ProgressiveExperts(nn.Module):
    """Progressive layered extraction: an encoder per task and a shared one (Tang et al. 2020).

    After each stage a task goes on with its own and the shared map, weighed by a gate, and the shared encoder goes on
    with the maps of all, weighed by a gate; a task never takes the map of another task directly. A gate reads the mean
    of its encoder's map. The paper has several experts per task and vectors instead of maps; one expert each is ours.

    As in `MixedEncoders`, a second gate makes what a head sees, so that each parameter lies on one side of the cut:
    encoders and the gates between stages are trunk, the gates of a head belong to its task. All encoders are computed,
    whichever tasks are asked for.
    """

    interacts = False

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.tasks = tuple(sorted(needs))
        self.encoders = NamedModules({t: Encoder(spec) for t in self.tasks})
        self.shared = Encoder(spec)
        widths, everybody = spec.widths, len(self.tasks) + 1
        self.gates = GatesByLevel(
            [NamedModules({t: ExpertGate(width, 2) for t in self.tasks}) for width in widths[:-1]],
            [ExpertGate(width, everybody) for width in widths[:-1]],
            [
                NamedModules({t: ExpertGate(width, 2) for t in self.tasks if level in needs[t]})
                for level, width in enumerate(widths)
            ],
        )

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        if not tasks:
            return pyramids
        inputs, common_input = dict.fromkeys(self.tasks, x), x
        for level in range(len(self.channels)):
            maps = {t: encoder.stages.at(level)(inputs[t])[1] for t, encoder in self.encoders.items()}
            _, common = self.shared.stages.at(level)(common_input)
            readers = [t for t in tasks if level in self.needs[t]]
            common_leaves = cut(common, readers) if readers else {}
            for task in tasks:
                leaves = [cut(maps[task], [task])[task], common_leaves[task]] if task in readers else []
                gate = self.gates.heads.at(level)
                pyramids[task].append(mix_experts(leaves, _weigh(gate[task], leaves)) if leaves else None)
            if level < len(self.channels) - 1:
                on, pairs = self.gates.on.at(level), {t: [own, common] for t, own in maps.items()}
                inputs = {t: mix_experts(pair, _weigh(on[t], pair)) for t, pair in pairs.items()}
                everybody = [common, *maps.values()]
                common_input = mix_experts(everybody, _weigh(self.gates.shared.at(level), everybody))
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: encoders and the gates between their stages are trunk, the gates of a head are private."""
        parts = {"encoders": self.encoders, "shared": self.shared}
        parts |= {"gates.on": self.gates.on, "gates.shared": self.gates.shared}
        roles: ParameterRoles = {}
        for name, part in parts.items():
            roles |= assign_role(part, f"{name}.", TRUNK)
        for level, gates in enumerate(self.gates.heads):
            for task, gate in gates.items():
                roles |= assign_role(gate, f"gates.heads.{level}.members.@{task}.", private_role(task))
        return roles

    def list_finest_parts(self, task: str) -> list[str]:
        """List, as prefixes of parameter names, what only the finest level of a task's pyramid is made with."""
        return [f"gates.heads.0.members.@{task}."]


def _weigh(gate: ExpertGate, maps: Sequence[Tensor]) -> Tensor:
    """Weigh maps by a gate that reads the first of them, which is that of its own encoder."""
    weights: Tensor = gate(average_places(maps[0]))
    return weights
