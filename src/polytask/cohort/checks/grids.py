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
    for use in evidence.file_cells:
        if use.key in evidence.looks:
            rows.setdefault((use.row, use.image), []).append(use)
    for (_, image), uses in rows.items():
        spec = evidence.header.images[image]
        channels = [use for use in uses if use.role == "image"]
        if not channels:
            continue
        first = channels[0]
        strict = spec.align == "strict"
        for use in channels[1:] if strict else []:
            yield from _compare_file_grids(
                evidence, use, first, spec.dims, "or write `align: resample` for the input"
            )
        for use in uses:
            if use.role != "image" and strict:
                yield from _compare_file_grids(
                    evidence, use, first, spec.dims, "or write `align: resample` for the image"
                )


def _compare_file_grids(
    evidence: Evidence, use: FileCell, first: FileCell, dims: int, way_out: str
) -> Iterator[Problem]:
    grid, other = evidence.looks[use.key].grid, evidence.looks[first.key].grid
    if grid.shape != other.shape:
        yield evidence.of(
            use,
            "error",
            "wrong-shape",
            f"{use.column}: size {_format_grid_shape(grid)}, but {first.column} has {_format_grid_shape(other)}",
            f"resample it to the grid of {first.cell}, {way_out}",
        )
    elif dims == 3 and not _is_same_place(grid, other):
        yield evidence.of(
            use,
            "error",
            "wrong-place",
            f"{use.column}: same size as {first.column}, but its file header gives it "
            "another position in space",
            f"write it again with the affine of {first.cell}, {way_out}",
        )


def _is_same_place(grid: Grid, other: Grid) -> bool:
    """Whether two grids of the same shape lie at the same place."""
    # Where only one file states a voxel size, mm and pixels do not compare; then both are taken as pixels.
    both = grid.physical == other.physical
    return (
        grid.is_same_grid(other, MAX_CORNER_SHIFT)
        if both
        else grid.with_unit(False).is_same_grid(other.with_unit(False), MAX_CORNER_SHIFT)
    )


def _format_grid_shape(grid: Grid) -> str:
    return "×".join(str(n) for n in grid.shape)


def check_mask_labels(evidence: Evidence) -> Iterator[Problem]:
    """Find mask values that the header does not know, and files with another number of planes than it expects."""
    for use in evidence.file_cells:
        look = evidence.looks.get(use.key)
        task = evidence.header.tasks.get(use.owner)
        if look is None or use.role != "mask" or not isinstance(task, MaskSpec):
            continue
        planes = len(task.structures) if task.structures and not use.part else 1
        if look.channels != planes:
            yield evidence.of(
                use,
                "error",
                "wrong-channels",
                f"{use.column}: {look.channels} masks in the file, expected {planes}",
                "write the structures in the header's order as a 4-D file, or as one column each"
                if planes > 1
                else "write one mask per file",
            )
        if look.odd is not None:
            yield evidence.of(
                use,
                "error",
                "wrong-label",
                f"{use.column}: the value {look.odd:g} is not a label",
                "write masks with integer values, and resample them with nearest neighbor",
            )
        elif task.labels is not None:
            known = {0, *(v for values in task.values.values() for v in values)}
            known |= set() if task.ignore is None else {task.ignore}
            if extra := sorted({v for plane in look.values for v in plane} - known):
                names = ", ".join(str(v) for v in extra[:5]) + (", …" if len(extra) > 5 else "")
                yield evidence.of(
                    use,
                    "error",
                    "wrong-label",
                    f"{use.column}: the mask has the label {names}, which the header does not know",
                    "add it to `labels` (or as `ignore`) in cohort.yaml, or correct the mask",
                )
        elif many := [v for v in look.values if len(v - {0}) > 1]:
            names = ", ".join(str(v) for v in sorted(many[0])[:5])
            yield evidence.of(
                use,
                "error",
                "wrong-label",
                f"{use.column}: a mask of one structure has the values {names}",
                "write 0 outside and one other value inside, or use `labels`",
            )
