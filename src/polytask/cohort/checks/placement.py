"""Check placement: NIfTI files that state two places, and inputs where only some files state a pixel size."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.cohort.checks.grids import MAX_CORNER_SHIFT
from polytask.errors import Problem
from polytask.images.volume import Grid


def check_nifti_forms(evidence: Evidence) -> Iterator[Problem]:
    """Find NIfTI files whose sform and qform disagree: programs that use the other one place the file elsewhere."""
    for use in evidence.file_cells:
        look = evidence.looks.get(use.key)
        forms = look.grid.forms if look is not None else None
        if look is None or forms is None or not (forms.sform_code and forms.qform_code):
            continue
        shape = (*look.grid.shape, 1)[:3]
        one, other = Grid(shape, forms.sform), Grid(shape, forms.qform)
        if not one.is_same_grid(other, MAX_CORNER_SHIFT):
            yield evidence.of(
                use,
                "warning",
                "two-places",
                f"{use.column}: sform and qform place it up to {one.gap(other):.3g} mm apart; the sform is used",
                "find out which one is right and write it as both; predictions copy both unchanged",
            )


def check_pixel_scales(evidence: Evidence) -> Iterator[Problem]:
    """Find image inputs where some files state a pixel size and others do not."""
    inputs: dict[str, list[FileCell]] = {}
    first: set[tuple[str, int]] = set()
    for use in evidence.file_cells:
        if use.role != "image" or use.key not in evidence.looks:
            continue
        if evidence.header.images[use.owner].align == "strict" and (use.owner, use.row) in first:
            continue  # it is read on the grid of the first channel, whatever its own file says
        first.add((use.owner, use.row))
        inputs.setdefault(use.owner, []).append(use)
    for name, uses in inputs.items():
        bare = [use for use in uses if not evidence.looks[use.key].grid.physical]
        for use in bare if len(bare) < len(uses) else []:
            yield evidence.of(
                use,
                "warning",
                "no-scale",
                f"{use.column}: the file does not say how large a pixel is, but others of {name} do",
                "write the pixel size into all files or none; while some lack it, lengths and areas are in pixels",
            )
