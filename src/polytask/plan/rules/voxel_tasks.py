"""Segmentation and dose: what a constant answer would cost, from the train part's masks and doses."""

from __future__ import annotations

from typing import Any

import numpy as np

from polytask.cohort.header import Dose, Segmentation
from polytask.errors import PolytaskError
from polytask.plan.records import Crops, VoxelRecord
from polytask.plan.rules.fold import FoldBasis
from polytask.plan.rules.why import Why, percent, times
from polytask.plan.sketch import Pool, short
from polytask.tasks.constants import constant_dose, constant_segmentation

TOLERANCE = 2.0
"""Of the surface Dice, in mm or pixels; the edge of a voxel where that is longer."""
DOSE_SCALE = 0.99
Fields = dict[str, Any]


def _records(basis: FoldBasis, task: str) -> list[VoxelRecord]:
    return [record.voxels[task] for record in basis.records if task in record.voxels]


def _occurs(basis: FoldBasis, task: str, structure: str) -> bool:
    """Whether any mask outside the test part shows it; only asked to tell a rare structure from a wrong header."""
    return any(
        c.voxels[task].counts.get(structure) for c in basis.fingerprint.cases.values() if task in c.voxels
    )


def _box(basis: FoldBasis, image: str) -> Crops:
    """The crop whose voxels count (a box column is not known to the fingerprint: all of the image)."""
    rule = basis.images[image].crop.rule
    return "none" if rule == "box" else rule


def plan_segmentation(basis: FoldBasis, name: str, task: Segmentation, why: Why) -> Fields:
    """Fields of `tasks.Segmentation`."""
    box, records = _box(basis, task.image), _records(basis, name)
    unit = basis.images[task.image].unit
    fractions: list[float] = []
    words: list[str] = []
    for structure in task.names:
        known = [r for r in records if structure in r.counts and r.totals[box] > 0]
        if not known:
            raise basis.missing(name, f"structure {structure!r} is never known")
        if not any(r.counts[structure] for r in known) and not _occurs(basis, name, structure):
            place = f"{basis.cohort.table}: task {name}: structure {structure!r} occurs in no mask"
            raise PolytaskError(
                f"{place}; expected its voxels in one at least; check its value in cohort.yaml"
            )
        share = float(np.mean([min(1.0, r.counts[structure] / r.totals[box]) for r in known]))
        fractions.append(short(share, 4))
        edges = [r.sizes[structure] for r in known if structure in r.sizes]
        size = f", typically {times(np.median(edges, axis=0).round(), unit)}" if edges else ""
        words.append(f"{structure} {percent(share)} (n {len(known)}, present in {len(edges)}{size})")
    spacing = max(basis.images[task.image].spacing)
    tolerance = short(max(TOLERANCE, spacing), 3)
    why["."] = "structures as in the header; primary metric: dice"
    why["fractions"] = f"share of the voxels that count: {'; '.join(words)}"
    why["tolerance"] = (
        f"{TOLERANCE:g} {unit}, or a voxel's longest edge ({spacing:g} {unit}) where that is more"
    )
    why["unit"] = "of distances and tolerance: the unit of its image"
    why["constant"] = (
        "Dice loss and cross-entropy of answering these shares everywhere: the loss starts about 1"
    )
    return {
        "kind": "segmentation",
        "level": "voxel",
        "structures": list(task.names),
        "exclusive": task.exclusive,
        "fractions": fractions,
        "tolerance": tolerance,
        "unit": unit,
        "constant": short(constant_segmentation(fractions, task.exclusive), 5),
    }


def plan_dose(basis: FoldBasis, name: str, task: Dose, why: Why) -> Fields:
    """Fields of `tasks.Dose`."""
    box = _box(basis, task.image)
    found = [r.values[box] for r in _records(basis, name) if box in r.values]
    if not found:
        raise basis.missing(name, "no dose is known")
    pool = Pool(found)
    median, deviation = short(pool.quantile(0.5), 5), short(pool.deviation(), 5)
    scale = short(pool.quantile(DOSE_SCALE), 4)
    scale = scale if scale > 0 else 1.0
    structures: list[str] = []
    if task.structures is not None:
        masks = basis.cohort.header.tasks[task.structures]
        structures = masks.names if isinstance(masks, Segmentation) else []
    why["."] = "unit and structures as in the header; primary metric: mae"
    counted = f"of {pool.cases} training doses where they count"
    why["scale"] = f"{100 * DOSE_SCALE:g}th percentile {counted}: the network sees it as 1"
    why["median"] = f"median {counted}: a fresh head answers it everywhere"
    why["deviation"] = (
        f"mean absolute error of that constant answer; skill is measured against it (n {pool.cases})"
    )
    why["dvh"] = "off: set it to 0.1 or more to weigh dose-volume histograms of the structures too"
    why["constant"] = "loss of the constant answer: the loss starts about 1"
    return {
        "kind": "dose",
        "level": "voxel",
        "unit": task.unit,
        "scale": scale,
        "structures": list(structures),
        "dvh": 0.0,
        "deviation": deviation,
        "median": median,
        "constant": short(constant_dose(deviation, scale), 5),
    }
