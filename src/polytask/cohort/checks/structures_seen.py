"""Every known structure of every mask, with its size and where it touches the border."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from polytask.cohort.checks.evidence import Evidence, Use
from polytask.cohort.checks.look import Look
from polytask.cohort.checks.mask_extent import Face
from polytask.cohort.header import SegmentationSpec


@dataclass(frozen=True)
class StructureSeen:
    """One structure in one mask.

    Args:
        use: the cell that names the mask.
        column: the mask's column, with the structure where the file holds several of them as planes.
        declared: whether the table says that it is known (`_known`, or a column of its own).
        voxels: how many it has; share: of the image.
        size: in mm³ (2D: mm²), or in voxels where the file has no physical scale.
        faces: of the image that it touches.
        corners: whether it holds every corner of the image.
    """

    use: Use
    task: str
    structure: str
    column: str
    declared: bool
    voxels: int
    share: float
    size: float
    physical: bool
    faces: frozenset[Face]
    corners: bool

    @property
    def named(self) -> str:
        """Column and structure, said once where the column is called like the structure."""
        same = self.column == self.structure or self.column.endswith(f".{self.structure}")
        return self.column if same else f"{self.column}: {self.structure}"


def find_structures(evidence: Evidence) -> Iterator[StructureSeen]:
    """All structures of masks with the size of their image and the planes and labels of the header (others are named
    by the check of labels)."""
    cases = {case.row: case for case in evidence.cohort.cases}
    images = {
        (use.row, use.image): evidence.looks[use.key].grid
        for use in reversed(evidence.uses)
        if use.role == "image" and use.key in evidence.looks
    }
    for use in evidence.uses:
        task, look = evidence.header.tasks.get(use.owner), evidence.looks.get(use.key)
        if look is None or use.role != "mask" or not isinstance(task, SegmentationSpec):
            continue
        if not _is_sound(look, task, use):
            continue
        stem = task.column or use.owner
        known = cases[use.row].cells.get(f"{stem}_known")
        named = None if known is None else {name.strip() for name in known.split(";")}
        image = images.get((use.row, use.image), look.grid)
        strict = evidence.header.images[use.image].align == "strict"
        if strict and image.shape != look.grid.shape:
            continue
        grid = image if strict else look.grid
        single = task.labels is not None or bool(use.part)
        for index, structure in enumerate(task.names):
            if (named is not None and structure not in named) or (use.part and use.part != structure):
                continue
            extent = look.extents[0 if single else index]
            values = frozenset(task.values[structure]) if task.labels else extent.values - {0}
            voxels, total = extent.voxels_of(values), prod(look.grid.shape)
            yield StructureSeen(
                use,
                use.owner,
                structure,
                use.column if single else f"{use.column}.{structure}",
                named is not None,
                voxels,
                voxels / total,
                voxels * prod(grid.spacing),
                grid.physical,
                extent.faces_of(values),
                bool(extent.corners) and extent.corners <= values,
            )


def _is_sound(look: Look, task: SegmentationSpec, use: Use) -> bool:
    if task.labels is not None:
        known = {0, *(v for values in task.values.values() for v in values)}
        known |= set() if task.ignore is None else {task.ignore}
        return len(look.extents) == 1 and look.extents[0].values <= known
    planes = 1 if use.part else len(task.names)
    return len(look.extents) == planes and all(len(extent.values - {0}) < 2 for extent in look.extents)
