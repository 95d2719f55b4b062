"""Check masks: empty ones, structures cut off at the border of the image, inside and outside exchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.mask_extent import BorderFace
from polytask.cohort.checks.mask_structures import MaskStructure, find_mask_structures, group_known_structures
from polytask.cohort.header import MaskSpec
from polytask.errors import Problem

USUAL_BORDER_SHARE = 0.5
"""A structure that touches a side in at least this share of the masks does so normally, as a spine or a body does."""
MIN_MASKS_FOR_BORDER = 4
"""Fewer masks of a structure than this cannot show what is normal for it."""
MAX_FOREGROUND_SHARE = 0.5
"""A structure that fills all corners and more than this share of the image may be the background."""


def check_empty_masks(evidence: Evidence) -> Iterator[Problem]:
    """Find masks without a voxel where the table does not say what was drawn.

    There may be no tumor, or nobody drew it: only a person can tell.
    """
    whole: dict[tuple[int, str], list[MaskStructure]] = defaultdict(list)
    for mask in find_mask_structures(evidence):
        if mask.declared:
            continue
        task = evidence.header.tasks[mask.task]
        # A label map is judged as a whole: it is normal that it lacks some of its labels.
        if isinstance(task, MaskSpec) and task.labels is not None:
            whole[mask.file_cell.row, mask.task].append(mask)
        elif not mask.voxels:
            yield _make_mask_warning(
                evidence,
                mask,
                "empty-structure",
                f"{mask.column} is empty: is the structure absent, or was it not drawn?",
                "now it counts as absent; " + _suggest_mask_remedy(mask),
            )
    for parts in whole.values():
        if not any(mask.voxels for mask in parts):
            what = parts[0].structure if len(parts) == 1 else "structure"
            yield _make_mask_warning(
                evidence,
                parts[0],
                "empty-mask",
                f"{parts[0].column}: the mask is empty: is there no {what}, or was it not drawn?",
                "now it counts as absent; empty the cell if nobody looked, or name what somebody looked for in "
                f"`{parts[0].column}_known`",
            )


def check_mask_borders(evidence: Evidence) -> Iterator[Problem]:
    """Find structures at a side of the image that others of the same name do not reach, and inverted masks."""
    for masks in group_known_structures(evidence):
        usual = _find_usual_faces(masks)
        framing = [mask for mask in masks if mask.corners and mask.share > MAX_FOREGROUND_SHARE]
        for mask in masks:
            # Where most masks look inverted, the structure is simply large (a body outline), not a mistake.
            if len(framing) < USUAL_BORDER_SHARE * len(masks) and mask in framing:
                yield _make_mask_warning(
                    evidence,
                    mask,
                    "inverted-mask",
                    f"{mask.display_name} fills every corner and {mask.share:.0%} of the image",
                    "look at the mask: are inside and outside exchanged?",
                )
            elif mask.faces - usual:
                yield _make_mask_warning(
                    evidence,
                    mask,
                    "mask-at-border",
                    f"{mask.display_name} touches the border of the image",
                    "is it cut off there? Then its size and shape are wrong: crop the image less tightly",
                )


def _find_usual_faces(masks: list[MaskStructure]) -> frozenset[BorderFace]:
    """Find the sides of the image that at least half of the masks of a structure touch."""
    if len(masks) < MIN_MASKS_FOR_BORDER:
        return frozenset()
    faces = {face for mask in masks for face in mask.faces}
    return frozenset(
        f for f in faces if sum(f in mask.faces for mask in masks) >= USUAL_BORDER_SHARE * len(masks)
    )


def _suggest_mask_remedy(mask: MaskStructure) -> str:
    """Say how a person can state that an empty mask means absent or unknown."""
    if mask.file_cell.part:
        return "write `absent` if somebody looked for it, or empty the cell if nobody did"
    return f"name the structures that were drawn in `{mask.file_cell.column}_known`"


def _make_mask_warning(
    evidence: Evidence, mask: MaskStructure, code: str, message: str, remedy: str
) -> Problem:
    file_cell = mask.file_cell
    return Problem(
        "warning", code, message, remedy, file_cell.cell, file_cell.row, file_cell.subject, mask.column
    )
