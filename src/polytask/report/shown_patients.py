"""Shows a few patients with all answers: the image with its masks, and every answer with its truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polytask.cohort.cell_values import image_paths
from polytask.cohort.cohort import Case
from polytask.cohort.header import MaskSpec
from polytask.evaluation.end_to_end import find_applicability
from polytask.evaluation.metric_estimates import list_class_names
from polytask.evaluation.voxel_truth import VoxelTruth
from polytask.inference.pooled_answers import CaseId
from polytask.report.answer_lines import (
    AnswerLine,
    write_applicable_line,
    write_pooled_line,
    write_voxel_lines,
)
from polytask.report.drawing import LegendEntry, Picture, pick_palette_color
from polytask.report.overlay_plots import (
    StructurePair,
    describe_orientation,
    make_cut_pictures,
    pair_structures,
)
from polytask.report.report_material import ReportMaterial
from polytask.report.voxel_cases import VoxelCase, read_first_channel, read_voxel_case
from polytask.tasks.task import expect_pooled_task

MAX_SHOWN_PATIENTS = 3
"""Largest number of patients that are shown."""


@dataclass(frozen=True)
class ShownPatient:
    """One evaluated subject with its pictures, their legend, and all its answers."""

    subject: str
    pictures: list[Picture]
    keys: list[LegendEntry]
    lines: list[AnswerLine]


def select_patients(material: ReportMaterial) -> list[ShownPatient]:
    """Select the subjects with most known answers, no matter how good the answers are; ties keep the table's order."""
    known = dict.fromkeys(material.answers.sites, 0)
    for task in material.tasks:
        for subject in {s for s, _ in _list_known_answer_ids(material, task)}:
            known[subject] = known.get(subject, 0) + 1
    # The sort is stable, which keeps the order of the table; choosing by quality would flatter the model.
    order = sorted((s for s in known if known[s]), key=lambda s: -known[s])
    return [build_patient(material, s) for s in order[:MAX_SHOWN_PATIENTS]]


def _list_known_answer_ids(material: ReportMaterial, task: str) -> list[CaseId]:
    if task in material.answers.voxel:
        return list(material.answers.voxel[task].ids)
    items = material.answers.pooled.get(task)
    if items is None or not items.ids:
        return []
    known = items.known.reshape(len(items.ids), -1)
    return [who for who, row in zip(items.ids, known, strict=True) if row.any()]


def build_patient(material: ReportMaterial, subject: str) -> ShownPatient:
    """Collect the pictures and all answers of one subject."""
    lines: list[AnswerLine] = []
    for name, task in material.tasks.items():
        if name in material.answers.voxel:
            lines += write_voxel_lines(material, task, subject)
        elif name in material.answers.pooled:
            items = material.answers.pooled[name]
            places = [k for k, (s, _) in enumerate(items.ids) if s == subject]
            own = [write_pooled_line(material, expect_pooled_task(task), items, k) for k in places]
            if (applies := find_applicability(name, material.tasks, material.answers)) is not None:
                own = [write_applicable_line(x, applies, k) for x, k in zip(own, places, strict=True)]
            lines += own
    pictures, keys = _make_patient_pictures(material, subject)
    return ShownPatient(subject, pictures, keys, lines)


def _make_patient_pictures(material: ReportMaterial, subject: str) -> tuple[list[Picture], list[LegendEntry]]:
    """Draw the first visit with a known mask, with the masks of all tasks on that image; else the image alone."""
    cohort = material.cohort
    cases = cohort.subjects.get(subject, ())
    specs: Mapping[str, MaskSpec] = {
        n: t
        for n, t in cohort.header.tasks.items()
        if isinstance(t, MaskSpec) and n in material.answers.voxel
    }
    for case in cases:
        drawn = [n for n in specs if (subject, case.visit) in material.answers.voxel[n].ids]
        if drawn:
            image = specs[drawn[0]].image
            # Masks of other images lie on other grids and cannot be drawn on this one.
            return _make_mask_pictures(material, case, [n for n in drawn if specs[n].image == image])
    for case in cases:
        for image in cohort.header.images:
            if any(p is not None for p in image_paths(cohort, case, image).values()):
                volume, modality, physical = read_first_channel(cohort, case, image)
                truth = VoxelTruth(np.zeros(0), np.zeros(0, bool), None)
                voxel_case = VoxelCase(volume.array, volume.grid, truth, np.zeros(0), modality, physical)
                return make_cut_pictures(
                    voxel_case,
                    [],
                    _write_image_caption(image, case),
                    f"Image of {subject}",
                    describe_orientation(voxel_case),
                ), []
    return [], []


def _make_mask_pictures(
    material: ReportMaterial, case: Case, tasks: list[str]
) -> tuple[list[Picture], list[LegendEntry]]:
    parts: list[StructurePair] = []
    keys: list[LegendEntry] = []
    voxel_case = None
    for task in tasks:
        words = list(list_class_names(material.tasks[task]))
        voxel_case = read_voxel_case(material, task, (case.subject, case.visit))
        parts += pair_structures(voxel_case, words, len(keys))
        keys += [
            LegendEntry(pick_palette_color(len(keys) + k), material.names.word(task, w))
            for k, w in enumerate(words)
        ]
    assert voxel_case is not None
    spec = material.cohort.header.tasks[tasks[0]]
    assert isinstance(spec, MaskSpec)
    pictures = make_cut_pictures(
        voxel_case,
        parts,
        _write_image_caption(spec.image, case),
        f"Masks of {case.subject}",
        describe_orientation(voxel_case),
    )
    return pictures, [*keys, LegendEntry("", "filled: truth; line: prediction")]


def _write_image_caption(image: str, case: Case) -> str:
    return f"{image}{f', {case.visit}' if case.visit else ''}."
