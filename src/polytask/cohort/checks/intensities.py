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
    for use in evidence.file_cells:
        look = evidence.looks.get(use.key)
        if look is None or look.span is None or use.role != "image" or look.constant or not look.finite:
            continue
        if evidence.header.images[use.owner].channels[use.part] != "CT" or look.channels != 1:
            continue
        low, high = look.span.low, look.span.high
        if scale := describe_odd_ct_scale(*look.span.inner):
            yield evidence.of(
                use,
                "warning",
                "ct-scale",
                f"{use.column}: {scale}",
                "give all CT in Hounsfield units (crops, windows and clipping rely on them), or declare it as `other`",
            )
        if low < LOWEST_CT_VALUE or high > HIGHEST_CT_VALUE:
            yield evidence.of(
                use,
                "warning",
                "ct-range",
                f"{use.column}: voxels from {low:g} to {high:g}, but a CT lies between {LOWEST_CT_VALUE:g} and "
                f"{HIGHEST_CT_VALUE:g}",
                "look at the file: metal, a padding value, or damaged voxels? Clip the values if they mean nothing",
            )
