"""Shows a few patients with all answers: the image with its masks, and every answer with its truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from polytask.cohort.cohort import Case
from polytask.cohort.header import SegmentationSpec
from polytask.cohort.values import image_paths
from polytask.evaluation.answers import Id
from polytask.evaluation.measure import names_of
from polytask.evaluation.truth import VoxelTruth
from polytask.report.answer_lines import Line, pooled_line, voxel_lines
from polytask.report.drawing import Key, Picture, colour
from polytask.report.material import Material
from polytask.report.overlays import Part, cuts, parts_of, seen_as
from polytask.report.voxels import Seen, first_channel, look
from polytask.tasks.task import PooledTask

MOST = 3
"""Largest number of patients that are shown."""


@dataclass(frozen=True)
class Patient:
    """One evaluated subject with its pictures, their legend, and all its answers."""

    subject: str
    pictures: list[Picture]
    keys: list[Key]
    lines: list[Line]


def patients(material: Material) -> list[Patient]:
    """Select the subjects with most known answers, no matter how good the answers are; ties keep the table's order."""
    known = dict.fromkeys(material.answers.sites, 0)
    for task in material.tasks:
        for subject in {s for s, _ in _known_ids(material, task)}:
            known[subject] = known.get(subject, 0) + 1
    # The sort is stable, which keeps the order of the table; choosing by quality would flatter the model.
    order = sorted((s for s in known if known[s]), key=lambda s: -known[s])
    return [patient(material, s) for s in order[:MOST]]


def _known_ids(material: Material, task: str) -> list[Id]:
    if task in material.answers.voxel:
        return list(material.answers.voxel[task].ids)
    items = material.answers.pooled.get(task)
    if items is None or not items.ids:
        return []
    known = items.known.reshape(len(items.ids), -1)
    return [who for who, row in zip(items.ids, known, strict=True) if row.any()]


def patient(material: Material, subject: str) -> Patient:
    """Collect the pictures and all answers of one subject."""
    lines: list[Line] = []
    for name, task in material.tasks.items():
        if name in material.answers.voxel:
            lines += voxel_lines(material, task, subject)
        elif name in material.answers.pooled:
            items = material.answers.pooled[name]
            places = [k for k, (s, _) in enumerate(items.ids) if s == subject]
            lines += [pooled_line(material, cast(PooledTask, task), items, k) for k in places]
    pictures, keys = _pictures(material, subject)
    return Patient(subject, pictures, keys, lines)


def _pictures(material: Material, subject: str) -> tuple[list[Picture], list[Key]]:
    """Draw the first visit with a known mask, with the masks of all tasks on that image; else the image alone."""
    cohort = material.cohort
    cases = cohort.subjects.get(subject, ())
    specs: Mapping[str, SegmentationSpec] = {
        n: t
        for n, t in cohort.header.tasks.items()
        if isinstance(t, SegmentationSpec) and n in material.answers.voxel
    }
    for case in cases:
        drawn = [n for n in specs if (subject, case.visit) in material.answers.voxel[n].ids]
        if drawn:
            image = specs[drawn[0]].image
            # Masks of other images lie on other grids and cannot be drawn on this one.
            return _masks(material, case, [n for n in drawn if specs[n].image == image])
    for case in cases:
        for image in cohort.header.images:
            if any(p is not None for p in image_paths(cohort, case, image).values()):
                volume, modality, physical = first_channel(cohort, case, image)
                truth = VoxelTruth(np.zeros(0), np.zeros(0, bool), None)
                seen = Seen(volume.array, volume.grid, truth, np.zeros(0), modality, physical)
                return cuts(seen, [], _lead(image, case), f"Image of {subject}", seen_as(seen)), []
    return [], []


def _masks(material: Material, case: Case, tasks: list[str]) -> tuple[list[Picture], list[Key]]:
    parts: list[Part] = []
    keys: list[Key] = []
    seen = None
    for task in tasks:
        words = list(names_of(material.tasks[task]))
        seen = look(material, task, (case.subject, case.visit))
        parts += parts_of(seen, words, len(keys))
        keys += [Key(colour(len(keys) + k), material.names.word(task, w)) for k, w in enumerate(words)]
    assert seen is not None
    spec = cast(SegmentationSpec, material.cohort.header.tasks[tasks[0]])
    found = cuts(seen, parts, _lead(spec.image, case), f"Masks of {case.subject}", seen_as(seen))
    return found, [*keys, Key("", "filled: truth; line: prediction")]


def _lead(image: str, case: Case) -> str:
    return f"{image}{f', {case.visit}' if case.visit else ''}."
