"""Cross-stitch: an encoder per task, mixed channel by channel after each stage (Misra et al., CVPR 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import Encoder, EncoderSpec, LevelModules, NamedModules, TaskCut
from polytask.model.roles import TRUNK, ParameterRoles, assign_role, private_role

OWN_MAP_SHARE = 0.9
"""Share of a task's own map at the start; the rest is divided evenly among the other maps."""


class StitchUnit(nn.Module):
    """What one task takes from every encoder, one number per channel: `alpha [K, C]`."""

    def __init__(self, own: int, encoders: int, channels: int):
        super().__init__()
        start = torch.full((encoders, channels), (1 - OWN_MAP_SHARE) / (encoders - 1))
        start[own] = OWN_MAP_SHARE
        self.alpha = nn.Parameter(start)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Mix K maps `[N, C, *space]` into one."""
        shape = (-1, *[1] * (maps[0].dim() - 2))
        alpha = self.alpha.to(maps[0].dtype)
        # Added map by map: a stack of all maps would be a second copy of the largest tensors.
        mixed = maps[0] * alpha[0].view(shape)
        for share, x in zip(alpha[1:], maps[1:], strict=True):
            mixed = torch.addcmul(mixed, x, share.view(shape))
        return mixed


class StitchUnits(nn.Module):
    """The units of all levels.

    Args:
        on: level → task → the unit for what goes on to the next stage.
        heads: level → task → the unit for what its head sees.
    """

    def __init__(self, on: Sequence[NamedModules[StitchUnit]], heads: Sequence[NamedModules[StitchUnit]]):
        super().__init__()
        self.on, self.heads = LevelModules(on), LevelModules(heads)


class CrossStitch(nn.Module):
    """An encoder per task, mixed by learned units per channel after each stage (Misra et al. 2016).

    Every stage has a unit per task for what goes on to the task's next stage. Where the head of the task reads the
    level, a second unit makes what the head sees; the paper uses one unit for both. So each parameter lies on one side
    of the cut, which is in front of the heads' units: encoders and the units between stages are trunk, and a head's
    units belong to its task. One backward pass is then enough for balancing. At the deepest level, the only one that
    pooled tasks read, all is as in the paper.

    Encoders read each other, so all are computed, whichever tasks are asked for; an answer does not depend on that.
    With one task there is one encoder and no unit.

    Units ask for ten times the learning rate. A step of Adam has the size of the rate: at 1e-3 a unit would need
    hundreds of steps to go from 0.9 to 0.5, at 1e-2 about forty. The factor of 100 that is reported for SGD would move
    units by a tenth per step, as much as the share of the others itself.
    """

    interacts = False
    rates: Mapping[str, float] = {"units.": 10.0}

    def __init__(self, spec: EncoderSpec, needs: Mapping[str, frozenset[int]]):
        super().__init__()
        self.needs = dict(needs)
        self.channels = spec.widths
        self.tasks = tuple(sorted(needs))
        self.encoders = NamedModules({t: Encoder(spec) for t in self.tasks})
        several = len(needs) > 1

        def units(level: int, readers: Sequence[str]) -> NamedModules[StitchUnit]:
            count, width = len(self.tasks), spec.widths[level]
            return NamedModules(
                {t: StitchUnit(self.tasks.index(t), count, width) for t in readers if several}
            )

        levels = range(len(spec.widths))
        self.units = StitchUnits(
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

    def _mix_maps(self, units: NamedModules[StitchUnit], task: str, maps: Sequence[Tensor]) -> Tensor:
        """Mix the maps of all encoders for `task`; with one encoder its map is returned."""
        if len(self.tasks) == 1:
            return maps[0]
        mixed: Tensor = units[task](maps)
        return mixed
