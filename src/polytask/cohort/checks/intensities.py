"""Check CT intensities: another scale than Hounsfield units, or voxels far outside that scale."""

from __future__ import annotations

from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence
from polytask.errors import Problem
from polytask.images.ct_scale import HIGHEST_CT_VALUE, LOWEST_CT_VALUE, describe_odd_ct_scale


def check_ct_intensities(evidence: Evidence) -> Iterator[Problem]:
    """Find CT images whose values are not those of a CT.

    Images that are constant or not finite are left out: the check of files reports them.
    """
    for file_cell in evidence.file_cells:
        facts = evidence.image_facts.get(file_cell.key)
        if (
            facts is None
            or facts.span is None
            or file_cell.role != "image"
            or facts.constant
            or not facts.finite
        ):
            continue
        if evidence.header.images[file_cell.owner].channels[file_cell.part] != "CT" or facts.channels != 1:
            continue
        low, high = facts.span.low, facts.span.high
        if scale := describe_odd_ct_scale(*facts.span.inner):
            yield evidence.make_file_problem(
                file_cell,
                "warning",
                "ct-scale",
                f"{file_cell.column}: {scale}",
                "give all CT in Hounsfield units (crops, windows and clipping rely on them), or declare it as `other`",
            )
        if low < LOWEST_CT_VALUE or high > HIGHEST_CT_VALUE:
            yield evidence.make_file_problem(
                file_cell,
                "warning",
                "ct-range",
                f"{file_cell.column}: voxels from {low:g} to {high:g}, but a CT lies between {LOWEST_CT_VALUE:g} and "
                f"{HIGHEST_CT_VALUE:g}",
                "look at the file: metal, a padding value, or damaged voxels? Clip the values if they mean nothing",
            )
