"""Check grids and labels: channels, masks and doses must lie where their image lies, with labels of the header."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.cohort.header import MaskSpec
from polytask.errors import Problem
from polytask.images.volume import Grid

MAX_CORNER_SHIFT = 0.5
"""Grids are at different places when a corner is further apart than this many voxels."""


def check_grids(evidence: Evidence) -> Iterator[Problem]:
    """Compare shape and place of each channel with the first channel, and of masks and doses with their image."""
    rows: dict[tuple[int, str], list[FileCell]] = {}
    for file_cell in evidence.file_cells:
        if file_cell.key in evidence.image_facts:
            rows.setdefault((file_cell.row, file_cell.image), []).append(file_cell)
    for (_, image), file_cells in rows.items():
        spec = evidence.header.images[image]
        channels = [file_cell for file_cell in file_cells if file_cell.role == "image"]
        if not channels:
            continue
        first = channels[0]
        strict = spec.align == "strict"
        for file_cell in channels[1:] if strict else []:
            yield from _compare_file_grids(
                evidence, file_cell, first, spec.dims, "or write `align: resample` for the input"
            )
        for file_cell in file_cells:
            if file_cell.role != "image" and strict:
                yield from _compare_file_grids(
                    evidence, file_cell, first, spec.dims, "or write `align: resample` for the image"
                )


def _compare_file_grids(
    evidence: Evidence, file_cell: FileCell, first: FileCell, dims: int, alternative: str
) -> Iterator[Problem]:
    grid, other = evidence.image_facts[file_cell.key].grid, evidence.image_facts[first.key].grid
    if grid.shape != other.shape:
        yield evidence.make_file_problem(
            file_cell,
            "error",
            "wrong-shape",
            f"{file_cell.column}: size {_format_grid_shape(grid)}, but {first.column} has {_format_grid_shape(other)}",
            f"resample it to the grid of {first.cell}, {alternative}",
        )
    elif dims == 3 and not _is_same_place(grid, other):
        yield evidence.make_file_problem(
            file_cell,
            "error",
            "wrong-place",
            f"{file_cell.column}: same size as {first.column}, but its file header gives it "
            "another position in space",
            f"write it again with the affine of {first.cell}, {alternative}",
        )


def _is_same_place(grid: Grid, other: Grid) -> bool:
    """Whether two grids of the same shape lie at the same place."""
    # Where only one file states a voxel size, mm and pixels do not compare; then both are taken as pixels.
    same_unit = grid.physical == other.physical
    return (
        grid.is_same_grid(other, MAX_CORNER_SHIFT)
        if same_unit
        else grid.with_unit(False).is_same_grid(other.with_unit(False), MAX_CORNER_SHIFT)
    )


def _format_grid_shape(grid: Grid) -> str:
    return "×".join(str(n) for n in grid.shape)


def check_mask_labels(evidence: Evidence) -> Iterator[Problem]:
    """Find mask values that the header does not know, and files with another number of planes than it expects."""
    for file_cell in evidence.file_cells:
        facts = evidence.image_facts.get(file_cell.key)
        task = evidence.header.tasks.get(file_cell.owner)
        if facts is None or file_cell.role != "mask" or not isinstance(task, MaskSpec):
            continue
        planes = len(task.structures) if task.structures and not file_cell.part else 1
        if facts.channels != planes:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "wrong-channels",
                f"{file_cell.column}: {facts.channels} masks in the file, expected {planes}",
                "write the structures in the header's order as a 4-D file, or as one column each"
                if planes > 1
                else "write one mask per file",
            )
        if facts.odd is not None:
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "wrong-label",
                f"{file_cell.column}: the value {facts.odd:g} is not a label",
                "write masks with integer values, and resample them with nearest neighbor",
            )
        elif task.labels is not None:
            known = {0, *(v for values in task.values.values() for v in values)}
            known |= set() if task.ignore is None else {task.ignore}
            if extra := sorted({v for plane in facts.values for v in plane} - known):
                names = ", ".join(str(v) for v in extra[:5]) + (", …" if len(extra) > 5 else "")
                yield evidence.make_file_problem(
                    file_cell,
                    "error",
                    "wrong-label",
                    f"{file_cell.column}: the mask has the label {names}, which the header does not know",
                    "add it to `labels` (or as `ignore`) in cohort.yaml, or correct the mask",
                )
        elif many := [v for v in facts.values if len(v - {0}) > 1]:
            names = ", ".join(str(v) for v in sorted(many[0])[:5])
            yield evidence.make_file_problem(
                file_cell,
                "error",
                "wrong-label",
                f"{file_cell.column}: a mask of one structure has the values {names}",
                "write 0 outside and one other value inside, or use `labels`",
            )
