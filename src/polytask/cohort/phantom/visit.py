"""Write one visit of one subject: its images, its masks as far as they are known, and the full truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polytask.cohort.phantom import render
from polytask.cohort.phantom.anatomy import ORGAN_STRUCTURES, Anatomy, build_anatomy
from polytask.cohort.phantom.biopsy import BIOPSY_INPUT, has_biopsy, write_biopsy
from polytask.cohort.phantom.ellipsoids import make_lattice
from polytask.cohort.phantom.label_cells import make_label_cells, make_latent_cells
from polytask.cohort.phantom.phantom_header import list_channel_names
from polytask.cohort.phantom.relapse import RELAPSE_TASK, draw_relapse_cells
from polytask.cohort.phantom.subject_blocks import HIDDEN_SUBJECT_CELLS, HIDDEN_VISIT_CELLS
from polytask.cohort.phantom.subjects import PhantomSubject
from polytask.cohort.phantom.visit_writer import CellTexts, PhantomSpec, VisitWriter


def write_phantom_visit(
    folder: Path, subject: PhantomSubject, visit: int, spec: PhantomSpec
) -> tuple[CellTexts, CellTexts]:
    """Write the files of one visit below `folder`.

    Returns:
        (row of `cases.csv`, row of `truth.csv`), each column → cell; empty cells are left out.
    """
    scanner = render.SCANNERS[subject.site]
    anatomy = build_anatomy(subject, visit, spec.visits, spec.seed)
    origin = np.random.default_rng([spec.seed, 4, subject.index]).uniform(-80, 80, 3).round(1)
    room = make_lattice(
        spec.dims,
        spec.size,
        scanner.thick,
        anatomy.shift,
        (float(origin[0]), float(origin[1]), float(origin[2])),
    )
    writer = VisitWriter(folder, subject, visit, spec, room)
    noise = np.random.default_rng([spec.seed, 5, subject.index, visit])
    for name, image in zip(
        list_channel_names(spec.dims), render.render_channels(anatomy, room, scanner, noise), strict=True
    ):
        if not writer.hidden("scan.mr") or name != "mr":
            writer.shared_cells[f"scan.{name}"] = writer.file("images", name, image)
    if spec.slides and not visit and has_biopsy(subject, spec.seed):
        writer.shared_cells[BIOPSY_INPUT] = write_biopsy(folder, subject, spec.seed)
    for task, write in {"lesion": _write_lesion, "organs": _write_organs, "dose": _write_dose}.items():
        if task in spec.tasks:
            write(writer, anatomy)
    truth = make_label_cells(subject, visit, spec.visits)
    truth |= draw_relapse_cells(subject, spec.seed) if RELAPSE_TASK in spec.tasks else {}
    hidden_cells = {cell for cell in (*HIDDEN_VISIT_CELLS, "age", "sex") if writer.hidden(cell)}
    hidden_cells |= {cell for cell in HIDDEN_SUBJECT_CELLS if cell in subject.unknown[0]}
    shown = {
        k: v for k, v in truth.items() if k.removesuffix("_time").removesuffix("_event") not in hidden_cells
    }
    return {**writer.shared_cells, **writer.row, **shown}, {
        **writer.shared_cells,
        **writer.truth,
        **truth,
        **make_latent_cells(subject),
    }


def _write_lesion(writer: VisitWriter, anatomy: Anatomy) -> None:
    """Write the label map of lesion and nodes; sometimes only the lesion is drawn, sometimes the top is ignored."""
    whole = render.render_lesion_labels(anatomy, writer.visit_lattice)
    known = whole.copy()
    if writer.hidden("nodes"):
        known[known == 2] = 0
        writer.row["lesion_known"] = "lesion"
    if writer.hidden("ignored"):
        known[np.broadcast_to(writer.visit_lattice.coordinate(2) > 0.3, known.shape)] = 255
    writer.voxels("lesion", "lesion", whole, None if writer.hidden("lesion") else known)
    if writer.hidden("lesion"):
        writer.row.pop("lesion_known", None)


def _write_organs(writer: VisitWriter, anatomy: Anatomy) -> None:
    """Write the overlapping organ masks: one 4-D file, or in 2D one file each.

    Sometimes the bladder is not drawn, and sometimes the masks are drawn only within a region.
    """
    whole = render.render_organ_masks(anatomy, writer.visit_lattice)
    hidden = writer.hidden("organs")
    region = writer.half(2) if writer.hidden("organs_region") and not hidden else None
    if region is not None:
        writer.row["organs_region"] = writer.file("masks", "organs_region", region)
    drawn = {k: v if region is None else v * region for k, v in whole.items()}
    undrawn = {"bladder"} if writer.hidden("bladder") else set()
    if writer.spec.dims == 3:
        # An undrawn structure is a plane of zeros; `organs_known` must leave it out, or it would count as absent.
        known = np.stack([drawn[k] * np.uint8(k not in undrawn) for k in ORGAN_STRUCTURES])
        writer.voxels("organs", "organs", np.stack(list(whole.values())), None if hidden else known)
        if undrawn and not hidden:
            writer.row["organs_known"] = ";".join(k for k in ORGAN_STRUCTURES if k not in undrawn)
        return
    for name, mask in whole.items():
        if name not in anatomy.organs:
            writer.truth[f"organs.{name}"] = "absent"
            writer.row |= {} if hidden else {f"organs.{name}": "absent"}
        else:
            writer.voxels(f"organs.{name}", name, mask, None if hidden or name in undrawn else drawn[name])


def _write_dose(writer: VisitWriter, anatomy: Anatomy) -> None:
    """Write the dose of a visit; sometimes it is known only on one side of the patient."""
    whole = render.render_dose(anatomy, writer.visit_lattice)
    known = None if writer.hidden("dose") else whole
    if known is not None and writer.hidden("dose_region"):
        region = writer.half(0)
        known = known * region
        writer.row["dose_region"] = writer.file("masks", "dose_region", region)
    writer.voxels("dose", "dose", whole, known)
