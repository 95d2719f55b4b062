"""Applies promises about masks and fields to new answers: wider masks and ends of intervals as files, sizes and ranks
as cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polytask.array_types import Floats, Mask
from polytask.errors import PolytaskError
from polytask.evaluation.structure_curves import select_structure, widen_mask
from polytask.images.volume import Volume
from polytask.kinds import find_answer_form
from polytask.predict.mask_presence import PRESENCE, VOXELS
from polytask.tasks.mask_sizes import compute_voxel_size
from polytask.trust.voxels.field_trust import choose_reach
from polytask.trust.voxels.fit_voxels import VoxelTrust
from polytask.trust.voxels.structure_trust import choose_steps, make_volume_interval, rank_absence

if TYPE_CHECKING:
    from polytask.predict.case_answer import CaseAnswer
    from polytask.predict.predictor import Predictor

OUTER = {"outer.mean": 0, "outer.patient": 1}
"""Column of a wider mask → its place in what `choose_steps` returns."""


class TrustedVoxels:
    """Makes the cells and files that a model's promises about voxel tasks add.

    Args:
        voxels: task → what is promised. alpha: 1 − the level. numbers: of each fold the numbers of its members.
        place: where the promises were read, for messages.
    """

    def __init__(
        self,
        predictor: Predictor,
        voxels: Mapping[str, VoxelTrust],
        alpha: float,
        numbers: Sequence[Sequence[int]],
        place: Path,
    ):
        self.voxels, self.alpha, self.numbers = voxels, alpha, numbers
        self.tasks = {name: predictor.tasks[name] for name in voxels if name in predictor.tasks}
        for name, own in voxels.items():
            task = self.tasks.get(name)
            masks = task is not None and find_answer_form(task.kind) == "masks"
            members = list(own.structures.values()) if masks else [own.fields]
            if (
                task is None
                or (masks and tuple(own.structures) != tuple(getattr(task, "structures", ())))
                or any(len(by_member) != len(numbers) for by_member in members)
            ):
                raise PolytaskError(f"{place}: {name}: promises of another task; run `polytask trust` again")

    def make_cells(self, answer: CaseAnswer) -> dict[str, str]:
        """Make `TASK.low.STRUCTURE`, `TASK.high.STRUCTURE` (the size; empty: endless, or no size is known) and
        `TASK.absent_p.STRUCTURE` (empty: no known case lacks it)."""
        cells: dict[str, str] = {}
        for name, own in self.voxels.items():
            if name not in answer.computed or not own.structures:
                continue
            size = self._measure_voxel(name, answer.voxel[name])
            for k, (structure, members) in enumerate(own.structures.items()):
                drawn, presence = (self._list_seen(name, answer, key, k) for key in (VOXELS, PRESENCE))
                drawn = [own * answer.computed[name].source_voxels for own in drawn]
                low, high = make_volume_interval(members, drawn, self.alpha)
                for end, value in (("low", low[0] * size), ("high", high[0] * size)):
                    told = np.isfinite(high[0]) and np.isfinite(size)
                    cells[f"{name}.{end}.{structure}"] = f"{value:.6g}" if told else ""
                lacking = any(len(m.absent) for m in members)
                p = rank_absence(members, presence)[0]
                cells[f"{name}.absent_p.{structure}"] = f"{p:.4g}" if lacking else ""
        return cells

    def make_volumes(self, answer: CaseAnswer) -> Iterator[tuple[str, str, Volume]]:
        """Make task, column after the task's name, and volume of each file: `outer.mean` and `outer.patient`
        (`[K, *space]`, 0 or 1), or `low` and `high` of a dose or map. A mask that would be everything for every
        structure, and an endless interval, have no file."""
        for name, own in self.voxels.items():
            if name not in answer.computed:
                continue
            if own.structures:
                yield from ((name, *made) for made in self._make_outer_masks(name, own, answer))
            elif np.isfinite(reach := choose_reach(own.fields, self.alpha)):
                value = answer.voxel[name]
                for column, sign in (("low", -1), ("high", 1)):
                    moved = np.asarray(value.array, np.float32) + np.float32(sign * reach)
                    yield name, column, Volume(moved, value.grid)

    def _make_outer_masks(
        self, name: str, own: VoxelTrust, answer: CaseAnswer
    ) -> Iterator[tuple[str, Volume]]:
        steps = [choose_steps(members, self.alpha) for members in own.structures.values()]
        planes: dict[str, list[Mask]] = {column: [] for column in OUTER}
        for k, chosen in enumerate(steps):
            p, drawn = (
                answer.computed[name].restore_structure(k),
                select_structure(self.tasks[name], answer.voxel[name], k),
            )
            for column, place in OUTER.items():
                planes[column].append(widen_mask(p, drawn, chosen[place]))
        for column, place in OUTER.items():
            if any(chosen[place] is not None for chosen in steps):
                yield column, Volume(np.stack(planes[column]).astype(np.uint8), answer.voxel[name].grid)

    def _list_seen(self, name: str, answer: CaseAnswer, key: str, k: int) -> list[Floats]:
        """List what the members of each fold say about structure k: the mean `[1]` over the fold's members."""
        return [np.mean([answer.members[i][name][key][:, k] for i in own], axis=0) for own in self.numbers]

    def _measure_voxel(self, name: str, answer: Volume) -> float:
        unit, grid = str(getattr(self.tasks[name], "unit", "mm")), answer.grid
        if unit == "mm" and not grid.physical:
            return float("nan")
        return compute_voxel_size(grid.spacing if unit == "mm" else [1.0] * grid.dims, unit)
