"""What a reader needs to know about promises about masks and fields, beside their tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from polytask.trust.conformal import find_smallest_count
from polytask.trust.voxels.fit_voxels import VoxelTrust
from polytask.trust.voxels.structure_trust import DRAWN, StructureTrust, choose_steps


def list_voxel_remarks(voxels: Mapping[str, VoxelTrust], alpha: float) -> list[str]:
    """List which promises are empty and why, and how far those of several folds go."""
    remarks = []
    needed = find_smallest_count(alpha)
    for name, own in voxels.items():
        for structure, members in own.structures.items():
            remarks += [f"{name} {structure}: {why}" for why in list_structure_gaps(members, alpha, needed)]
        known = sum(len(m.scores) for m in own.fields)
        if own.fields and known < needed:
            remarks.append(f"{name}: {known} known answers, the level needs {needed}: it says nothing there")
        if max([len(own.fields), *map(len, own.structures.values())]) > 1:
            remarks.append(
                f"{name}: the columns show single folds; predictions use the mean of all of them, about which nothing "
                "is proved: look at `evaluate --part test`"
            )
    return remarks


def list_structure_gaps(members: Sequence[StructureTrust], alpha: float, needed: int) -> Iterator[str]:
    """Yield what cannot be promised about a structure."""
    present = sum(m.present for m in members)
    if present < needed:
        yield (
            f"occurs in {present} known answers, the level needs {needed}: no wider mask is made"
            if present
            else "occurs in no known answer: no wider mask is made"
        )
    elif None in choose_steps(members, alpha):
        yield "no mask but the whole image holds enough of it: the wider mask of that promise is everything"
    sizes = sum(len(m.volumes.get(DRAWN, ())) for m in members)
    if sizes < needed:
        yield (
            f"{sizes} masks that are not empty, with a true size, the level needs {needed}: their intervals of sizes "
            "are endless"
        )
    absent = sum(len(m.absent) for m in members)
    if absent < needed:
        yield f"known to be absent in {absent} answers, the level needs {needed}: its rank tells nothing"
