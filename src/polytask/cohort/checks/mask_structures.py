"""List every known structure of every mask, with its size and where it touches the border of the image."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.cohort.checks.image_facts import ImageFacts
from polytask.cohort.checks.mask_extent import BorderFace
from polytask.cohort.header import MaskSpec


@dataclass(frozen=True)
class MaskStructure:
    """One structure in one mask file.

    Args:
        file_cell: the cell that names the mask.
        column: the column of the mask, with the structure where one file holds several structures as planes.
        declared: whether a `_known` cell of the table names the structure.
        voxels: number of its voxels. share: part of the image that it fills.
        size: in mm³ (2D: mm²), or in voxels where the file has no physical scale (`physical` is False).
        faces: sides of the image that it touches.
        corners: whether it fills every corner of the image.
    """

    file_cell: FileCell
    task: str
    structure: str
    column: str
    declared: bool
    voxels: int
    share: float
    size: float
    physical: bool
    faces: frozenset[BorderFace]
    corners: bool

    @property
    def display_name(self) -> str:
        """Column and structure as text; just the column where it is named like the structure."""
        same = self.column == self.structure or self.column.endswith(f".{self.structure}")
        return self.column if same else f"{self.column}: {self.structure}"


def group_known_structures(evidence: Evidence) -> Iterator[list[MaskStructure]]:
    """List, for each structure of a task, the masks in which it has a voxel."""
    structures: dict[tuple[str, str], list[MaskStructure]] = defaultdict(list)
    for mask in find_mask_structures(evidence):
        if mask.voxels:
            structures[mask.task, mask.structure].append(mask)
    yield from structures.values()


def find_mask_structures(evidence: Evidence) -> Iterator[MaskStructure]:
    """List the structures of all masks that fit their image and the header.

    Masks with another size than their image, or with other planes or labels than the header, are left out: the checks
    of grids and labels report them.
    """
    cases = {case.row: case for case in evidence.cohort.cases}
    # Reversed, so that the first channel of an image is written last and wins.
    images = {
        (file_cell.row, file_cell.image): evidence.image_facts[file_cell.key].grid
        for file_cell in reversed(evidence.file_cells)
        if file_cell.role == "image" and file_cell.key in evidence.image_facts
    }
    for file_cell in evidence.file_cells:
        task, facts = evidence.header.tasks.get(file_cell.owner), evidence.image_facts.get(file_cell.key)
        if facts is None or file_cell.role != "mask" or not isinstance(task, MaskSpec):
            continue
        if not _has_expected_labels(facts, task, file_cell):
            continue
        stem = task.column or file_cell.owner
        known = cases[file_cell.row].cells.get(f"{stem}_known")
        named = None if known is None else {name.strip() for name in known.split(";")}
        image = images.get((file_cell.row, file_cell.image), facts.grid)
        strict = evidence.header.images[file_cell.image].align == "strict"
        if strict and image.shape != facts.grid.shape:
            continue
        # In a strict cohort the mask lies on the grid of its image, whatever voxel size its own file states.
        grid = image if strict else facts.grid
        single = task.labels is not None or bool(file_cell.part)
        for index, structure in enumerate(task.names):
            if (named is not None and structure not in named) or (
                file_cell.part and file_cell.part != structure
            ):
                continue
            extent = facts.extents[0 if single else index]
            values = frozenset(task.values[structure]) if task.labels else extent.values - {0}
            voxels, total = extent.count_label_voxels(values), prod(facts.grid.shape)
            yield MaskStructure(
                file_cell,
                file_cell.owner,
                structure,
                file_cell.column if single else f"{file_cell.column}.{structure}",
                named is not None,
                voxels,
                voxels / total,
                voxels * prod(grid.spacing),
                grid.physical,
                extent.list_touched_faces(values),
                bool(extent.corners) and extent.corners <= values,
            )


def _has_expected_labels(facts: ImageFacts, task: MaskSpec, file_cell: FileCell) -> bool:
    """Whether a mask has the planes and label values that the header expects."""
    if task.labels is not None:
        known = {0, *(v for values in task.values.values() for v in values)}
        known |= set() if task.ignore is None else {task.ignore}
        return len(facts.extents) == 1 and facts.extents[0].values <= known
    planes = 1 if file_cell.part else len(task.names)
    return len(facts.extents) == planes and all(len(extent.values - {0}) < 2 for extent in facts.extents)
