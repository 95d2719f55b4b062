"""Check placement: NIfTI files that state two places, and inputs where only some files state a pixel size."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence, FileCell
from polytask.cohort.checks.grids import MAX_CORNER_SHIFT
from polytask.errors import Problem
from polytask.images.volume import Grid


def check_nifti_forms(evidence: Evidence) -> Iterator[Problem]:
    """Find NIfTI files whose sform and qform disagree: programs that use the other one place the file elsewhere."""
    for file_cell in evidence.file_cells:
        facts = evidence.image_facts.get(file_cell.key)
        forms = facts.grid.forms if facts is not None else None
        if facts is None or forms is None or not (forms.sform_code and forms.qform_code):
            continue
        shape = (*facts.grid.shape, 1)[:3]
        by_sform, by_qform = Grid(shape, forms.sform), Grid(shape, forms.qform)
        if not by_sform.is_same_grid(by_qform, MAX_CORNER_SHIFT):
            yield evidence.make_file_problem(
                file_cell,
                "warning",
                "two-places",
                f"{file_cell.column}: sform and qform place it up to {by_sform.gap(by_qform):.3g} mm apart; the "
                "sform is used",
                "find out which one is right and write it as both; predictions copy both unchanged",
            )


def check_pixel_scales(evidence: Evidence) -> Iterator[Problem]:
    """Find image inputs where some files state a pixel size and others do not."""
    inputs: dict[str, list[FileCell]] = {}
    first: set[tuple[str, int]] = set()
    for file_cell in evidence.file_cells:
        if file_cell.role != "image" or file_cell.key not in evidence.image_facts:
            continue
        if (
            evidence.header.images[file_cell.owner].align == "strict"
            and (file_cell.owner, file_cell.row) in first
        ):
            continue  # it is read on the grid of the first channel, whatever its own file says
        first.add((file_cell.owner, file_cell.row))
        inputs.setdefault(file_cell.owner, []).append(file_cell)
    for name, file_cells in inputs.items():
        bare = [
            file_cell for file_cell in file_cells if not evidence.image_facts[file_cell.key].grid.physical
        ]
        for file_cell in bare if len(bare) < len(file_cells) else []:
            yield evidence.make_file_problem(
                file_cell,
                "warning",
                "no-scale",
                f"{file_cell.column}: the file does not say how large a pixel is, but others of {name} do",
                "write the pixel size into all files or none; while some lack it, lengths and areas are in pixels",
            )
