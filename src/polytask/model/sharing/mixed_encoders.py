"""An encoder per task, whose maps are mixed after each stage: what cross-stitch and NDDR have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, LevelModules, NamedModules, TaskCut
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role

OWN_MAP_SHARE = 0.9
"""Share of a task's own map at the start; the rest is divided evenly among the other maps."""


MakeUnit = Callable[[int, int, int], nn.Module]
"""(position of the task's own encoder, number of encoders, channels) → a module that makes one map `[N, C, *space]` of
the maps of all encoders."""


class UnitsByLevel(nn.Module):
    """The units of all levels.

    Args:
        on: level → task → the unit for what goes on to the next stage.
        heads: level → task → the unit for what its head sees.
    """

    def __init__(self, on: Sequence[NamedModules[nn.Module]], heads: Sequence[NamedModules[nn.Module]]):
        super().__init__()
        self.on, self.heads = LevelModules(on), LevelModules(heads)


class MixedEncoders(nn.Module):
    """An encoder per task, mixed by units after each stage.

    Every stage has a unit per task for what goes on to the task's next stage. Where the head of the task reads the
    level, a second unit makes what the head sees; the papers use one unit for both. So each parameter lies on one side
    of the cut, which is in front of the heads' units: encoders and the units between stages are trunk, and a head's
    units belong to its task. One backward pass is then enough for balancing. At the deepest level, the only one that
    pooled tasks read, all is as in the papers.

    Encoders read each other, so all are computed, whichever tasks are asked for; an answer does not depend on that.
    With one task there is one encoder and no unit.

    Args:
        make_unit: makes a unit of one level.
        rate: factor on the learning rate of the units.
    """

    interacts = False

    def __init__(
        self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]], make_unit: MakeUnit, rate: float = 1.0
    ):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.rates = {"units.": rate}
        self.tasks = tuple(sorted(needs))
        self.encoders = NamedModules({t: Encoder(spec) for t in self.tasks})
        several = len(needs) > 1

        def units(level: int, readers: Sequence[str]) -> NamedModules[nn.Module]:
            count, width = len(self.tasks), spec.widths[level]
            return NamedModules({t: make_unit(self.tasks.index(t), count, width) for t in readers if several})

        levels = range(len(spec.widths))
        self.units = UnitsByLevel(
            [units(level, self.tasks) for level in levels[:-1]],
            [units(level, [t for t in self.tasks if level in needs[t]]) for level in levels],
        )

    def forward(self, x: Tensor, tasks: Sequence[str], cut: TaskCut) -> dict[str, list[Tensor | None]]:
        """Compute one pyramid per task from `[N, planes, *space]`."""
        pyramids: dict[str, list[Tensor | None]] = {t: [] for t in tasks}
        if not tasks:
            return pyramids
        maps = dict.fromkeys(self.tasks, x)
        for level in range(len(self.channels)):
            maps = {t: encoder.stages.at(level)(maps[t])[1] for t, encoder in self.encoders.items()}
            readers = [t for t in tasks if level in self.needs[t]]
            leaves = [cut(maps[t], readers) for t in self.tasks] if readers else []
            for task in tasks:
                head_maps = [leaf[task] for leaf in leaves if task in readers]
                pyramids[task].append(
                    self._mix_maps(self.units.heads.at(level), task, head_maps) if head_maps else None
                )
            if level < len(self.channels) - 1:
                own = list(maps.values())
                maps = {t: self._mix_maps(self.units.on.at(level), t, own) for t in self.tasks}
        return pyramids

    def roles(self) -> ParameterRoles:
        """Return the roles: encoders and the units between their stages are trunk, the units of a head are private."""
        roles = assign_role(self.encoders, "encoders.", TRUNK) | assign_role(
            self.units.on, "units.on.", TRUNK
        )
        for level, units in enumerate(self.units.heads):
            for task, unit in units.items():
                roles |= assign_role(unit, f"units.heads.{level}.members.@{task}.", private_role(task))
        return roles

    def list_finest_parts(self, task: str) -> list[str]:
        """List, as prefixes of parameter names, what only the finest level of a task's pyramid is made with."""
        return [f"units.heads.0.members.@{task}."]

    def _mix_maps(self, units: NamedModules[nn.Module], task: str, maps: Sequence[Tensor]) -> Tensor:
        """Mix the maps of all encoders for `task`; with one encoder its map is returned."""
        if len(self.tasks) == 1:
            return maps[0]
        mixed: Tensor = units[task](maps)
        return mixed
