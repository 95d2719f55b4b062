"""Write one visit of one subject: its images, its masks as far as they are known, and the full truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polytask.cohort.phantom import render
from polytask.cohort.phantom.anatomy import STRUCTURES, Anatomy, build
from polytask.cohort.phantom.blocks import SUBJECT_CELLS, VISIT_CELLS
from polytask.cohort.phantom.declare import channel_names
from polytask.cohort.phantom.design import Subject
from polytask.cohort.phantom.labels import cells, latent
from polytask.cohort.phantom.shapes import lattice
from polytask.cohort.phantom.slide import INPUT, has_slide, write_slide
from polytask.cohort.phantom.writer import Cells, Spec, Writer


def write_case(folder: Path, subject: Subject, visit: int, spec: Spec) -> tuple[Cells, Cells]:
    """Write the files of one visit below `folder`.

    Returns:
        (row of `cases.csv`, row of `truth.csv`), each column → cell; empty cells are left out.
    """
    scanner = render.SCANNERS[subject.site]
    anatomy = build(subject, visit, spec.visits, spec.seed)
    origin = np.random.default_rng([spec.seed, 4, subject.index]).uniform(-80, 80, 3).round(1)
    room = lattice(
        spec.dims,
        spec.size,
        scanner.thick,
        anatomy.shift,
        (float(origin[0]), float(origin[1]), float(origin[2])),
    )
    writer = Writer(folder, subject, visit, spec, room)
    noise = np.random.default_rng([spec.seed, 5, subject.index, visit])
    for name, image in zip(
        channel_names(spec.dims), render.channels(anatomy, room, scanner, noise), strict=True
    ):
        if not writer.hidden("scan.mr") or name != "mr":
            writer.both[f"scan.{name}"] = writer.file("images", name, image)
    if spec.slides and not visit and has_slide(subject, spec.seed):
        writer.both[INPUT] = write_slide(folder, subject, spec.seed)
    for task, write in {"lesion": _lesion, "organs": _organs, "dose": _dose}.items():
        if task in spec.tasks:
            write(writer, anatomy)
    truth = cells(subject, visit, spec.visits)
    gone = {cell for cell in (*VISIT_CELLS, "age", "sex") if writer.hidden(cell)}
    gone |= {cell for cell in SUBJECT_CELLS if cell in subject.unknown[0]}
    shown = {k: v for k, v in truth.items() if k.removesuffix("_time").removesuffix("_event") not in gone}
    return {**writer.both, **writer.row, **shown}, {**writer.both, **writer.truth, **truth, **latent(subject)}


def _lesion(writer: Writer, anatomy: Anatomy) -> None:
    """Write the label map of lesion and nodes; sometimes only the lesion is drawn, sometimes the top is ignored."""
    whole = render.lesion_map(anatomy, writer.room)
    known = whole.copy()
    if writer.hidden("nodes"):
        known[known == 2] = 0
        writer.row["lesion_known"] = "lesion"
    if writer.hidden("ignored"):
        known[np.broadcast_to(writer.room.coordinate(2) > 0.3, known.shape)] = 255
    writer.voxels("lesion", "lesion", whole, None if writer.hidden("lesion") else known)
    if writer.hidden("lesion"):
        writer.row.pop("lesion_known", None)


def _organs(writer: Writer, anatomy: Anatomy) -> None:
    """Write the overlapping organ masks: one 4-D file, or in 2D one file each.

    Sometimes the bladder is not drawn, and sometimes the masks are drawn only within a region.
    """
    whole = render.organ_masks(anatomy, writer.room)
    hidden = writer.hidden("organs")
    region = writer.half(2) if writer.hidden("organs_region") and not hidden else None
    if region is not None:
        writer.row["organs_region"] = writer.file("masks", "organs_region", region)
    drawn = {k: v if region is None else v * region for k, v in whole.items()}
    undrawn = {"bladder"} if writer.hidden("bladder") else set()
    if writer.spec.dims == 3:
        # An undrawn structure is a plane of zeros; `organs_known` must leave it out, or it would count as absent.
        known = np.stack([drawn[k] * np.uint8(k not in undrawn) for k in STRUCTURES])
        writer.voxels("organs", "organs", np.stack(list(whole.values())), None if hidden else known)
        if undrawn and not hidden:
            writer.row["organs_known"] = ";".join(k for k in STRUCTURES if k not in undrawn)
        return
    for name, mask in whole.items():
        if name not in anatomy.organs:
            writer.truth[f"organs.{name}"] = "absent"
            writer.row |= {} if hidden else {f"organs.{name}": "absent"}
        else:
            writer.voxels(f"organs.{name}", name, mask, None if hidden or name in undrawn else drawn[name])


def _dose(writer: Writer, anatomy: Anatomy) -> None:
    """Write the dose of a visit; sometimes it is known only on one side of the patient."""
    whole = render.dose(anatomy, writer.room)
    known = None if writer.hidden("dose") else whole
    if known is not None and writer.hidden("dose_region"):
        region = writer.half(0)
        known = known * region
        writer.row["dose_region"] = writer.file("masks", "dose_region", region)
    writer.voxels("dose", "dose", whole, known)
