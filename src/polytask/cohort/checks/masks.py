"""Masks that are empty, that reach the border of the image, or that look turned inside out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.checks.mask_extent import Face
from polytask.cohort.checks.structures_seen import StructureSeen, find_structures
from polytask.cohort.header import SegmentationSpec
from polytask.errors import Problem

USUAL = 0.5
"""A structure that touches a side of the image in this share of the masks usually reaches it: a spine, a body."""
ENOUGH = 4
"""Masks with a structure, at least, before anything is usual for it."""
MOST = 0.5
"""Share of the image above which a structure that holds all its corners may be the background."""


def check_empty(evidence: Evidence) -> Iterator[Problem]:
    """Masks without a voxel, where the table does not say what was drawn: no tumour, or not drawn?"""
    whole: dict[tuple[int, str], list[StructureSeen]] = defaultdict(list)
    for seen in find_structures(evidence):
        if seen.declared:
            continue
        task = evidence.header.tasks[seen.task]
        if isinstance(task, SegmentationSpec) and task.labels is not None:
            whole[seen.use.row, seen.task].append(seen)
        elif not seen.voxels:
            yield _problem(
                evidence,
                seen,
                "empty-structure",
                f"{seen.column} is empty: not there, or not drawn?",
                "it counts as absent; " + _way_out(seen),
            )
    for parts in whole.values():
        if not any(seen.voxels for seen in parts):
            what = parts[0].structure if len(parts) == 1 else "structure"
            yield _problem(
                evidence,
                parts[0],
                "empty-mask",
                f"{parts[0].column}: the mask is empty: no {what}, or not drawn?",
                "it counts as absent; empty the cell where nobody looked, or say so by "
                f"`{parts[0].column}_known` where somebody did",
            )


def check_borders(evidence: Evidence) -> Iterator[Problem]:
    """Structures at a side of the image that the others of the same name do not reach, and inverted masks."""
    structures: dict[tuple[str, str], list[StructureSeen]] = defaultdict(list)
    for seen in find_structures(evidence):
        if seen.voxels:
            structures[seen.task, seen.structure].append(seen)
    for found in structures.values():
        usual = _usual_faces(found)
        framing = [seen for seen in found if seen.corners and seen.share > MOST]
        for seen in found:
            if len(framing) < USUAL * len(found) and seen in framing:
                yield _problem(
                    evidence,
                    seen,
                    "inverted-mask",
                    f"{seen.named} holds every corner and {seen.share:.0%} of the image",
                    "are inside and outside exchanged? Look at the mask",
                )
            elif seen.faces - usual:
                yield _problem(
                    evidence,
                    seen,
                    "mask-at-border",
                    f"{seen.named} touches the border of the image",
                    "is it cut off there? Its size and shape are then those of a part; crop less tightly",
                )


def _usual_faces(found: list[StructureSeen]) -> frozenset[Face]:
    """Sides that most masks of a structure reach."""
    if len(found) < ENOUGH:
        return frozenset()
    faces = {face for seen in found for face in seen.faces}
    return frozenset(f for f in faces if sum(f in seen.faces for seen in found) >= USUAL * len(found))


def _way_out(seen: StructureSeen) -> str:
    if seen.use.part:
        return "write `absent` where somebody looked, or empty the cell"
    return f"name what was drawn in `{seen.use.column}_known`"


def _problem(evidence: Evidence, seen: StructureSeen, code: str, message: str, remedy: str) -> Problem:
    use = seen.use
    return Problem("warning", code, message, remedy, use.cell, use.row, use.subject, seen.column)
