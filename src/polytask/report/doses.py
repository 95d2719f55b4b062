"""Pictures of a dose: truth, prediction, their difference, and dose-volume histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.cohort import header
from polytask.evaluation.truth import structure_masks
from polytask.report.drawing import Picture, below, colour, figure, nothing, png, styled, svg
from polytask.report.material import Material
from polytask.report.overlays import draw_image, heading, seen_as
from polytask.report.planes import planes, show
from polytask.report.scale import draw_bar, window_of
from polytask.report.voxels import Mask, Seen, Shown, chosen, look

Floats = npt.NDArray[np.float64]
FAINTEST = 0.05
"""Doses below this share of the largest dose are not drawn, so that the image stays visible."""


def pictures(material: Material, name: str) -> list[Picture]:
    """Draw truth, prediction and difference of each shown case, and the histograms of the median case."""
    shown = chosen(material, name)
    if not shown:
        return []
    unit, title = str(getattr(material.tasks[name], "unit", "")) or "dose", material.names.task(name)
    seen = [look(material, name, s.who) for s in shown]
    found: list[Picture] = []
    for case, one in zip(shown, seen, strict=True):
        lead = f"{heading(case, material.tasks[name].primary).removesuffix('.')} {unit}:"
        found += cuts_of(one, unit, lead, f"{case.word.capitalize()} case of {title}")
    with styled():
        middle = len(shown) // 2
        curves = histograms(material, name, shown[middle], seen[middle])
        if curves:
            drawn = figure(4.4, 3.6 + 0.17 * len(curves))
            spec = material.cohort.header.tasks[name]
            masks_of = str(getattr(spec, "structures", None))
            titled = {material.names.word(masks_of, s): pair for s, pair in curves.items()}
            draw_histograms(drawn.subplots(), titled, unit)
            who = " ".join(p for p in shown[middle].who if p)
            note = f"Share of each structure that gets at least a dose, {shown[middle].word} case ({who})."
            found.append(Picture(svg(drawn), f"Dose-volume histograms of {title}", note, width=4.4))
    return found


def cuts_of(seen: Seen, unit: str, lead: str, alt: str) -> list[Picture]:
    """Draw truth, prediction and their difference over the image, in the slice with the largest area of high true dose.

    Truth and prediction share one scale. Outside the region that counts nothing is drawn.
    """
    truth, answer = np.asarray(seen.truth.value, np.float64), np.asarray(seen.answer, np.float64)
    region = seen.truth.region
    inside = np.ones(truth.shape, bool) if region is None else region
    # Truth and prediction share the scale of the truth, so that equal colors mean equal doses.
    top = float(max(truth[inside].max(initial=0.0), 1e-9))
    hot = truth >= 0.9 * top
    plane = planes(seen.grid, hot)[0]
    window = window_of(seen.image[0], seen.modality, hot)
    here, gap = plane.cut(inside, seen.grid), answer - truth
    # The 99.5 % quantile, because one wrong voxel would make all other differences pale. A color scale needs a width,
    # so 0 becomes 1.
    reach = (float(np.quantile(np.abs(gap[inside]), 0.995)) if inside.any() else 1.0) or 1.0
    where = "Axial cut where the true dose is largest. " if seen.grid.dims == 3 else ""
    place = f"{plane.place.removeprefix('axial, ').capitalize()}. " if plane.place else ""
    note = f"{where}{place}{window.text}. {seen_as(seen)}".strip()
    found = []
    for word, dose in (("truth", truth), ("prediction", answer), ("prediction − truth", gap)):
        with styled():
            drawn = figure(3.2, 2.9)
            axes = drawn.subplots()
            draw_image(axes, seen, plane, window)
            cut = plane.cut(dose, seen.grid)
            if word == "prediction − truth":
                look_of: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "alpha": 0.85}
                veil = np.ma.masked_where(~here, cut)
            else:
                look_of = {"cmap": "turbo", "vmin": 0, "vmax": top, "alpha": 0.75}
                veil = np.ma.masked_where(~here | (cut < FAINTEST * top), cut)
            layer = show(axes, veil, plane, **look_of)
            label = f"Δ {unit}" if word == "prediction − truth" else unit
            drawn.colorbar(layer, ax=axes, shrink=0.8, label=label, aspect=18)
            draw_bar(axes, plane.spacing[1], seen.physical)
            words = f"{word}. {note}" if word == "truth" else f"{word}."
            found.append(Picture(png(drawn), f"{alt}: {word}", words, lead=lead, width=3.2))
    return found


def histograms(material: Material, name: str, case: Shown, seen: Seen) -> dict[str, tuple[Floats, Floats]]:
    """Return structure → (true, predicted) doses of its voxels, if the header names structures for the dose."""
    spec = material.cohort.header.tasks[name]
    if not isinstance(spec, header.DoseSpec) or not spec.structures:
        return {}
    row = next(c for c in material.cohort.subjects[case.who[0]] if c.visit == case.who[1])
    masks: dict[str, Mask] = structure_masks(material.cohort, row, spec.structures, seen.grid)
    found = {}
    for structure, mask in masks.items():
        judged = mask if seen.truth.region is None else mask & seen.truth.region
        if judged.any():
            found[structure] = (
                np.asarray(seen.truth.value[judged], np.float64),
                np.asarray(seen.answer[judged], np.float64),
            )
    return found


def draw_histograms(axes: Any, curves: dict[str, tuple[Floats, Floats]], unit: str) -> None:
    """Draw cumulative dose-volume histograms: truth solid, prediction dashed."""
    axes.set(title="Dose-volume histograms", xlabel=unit, ylabel="volume (%)", ylim=(0, 102))
    if not curves:
        nothing(axes, "no structure known here")
        return
    for k, (structure, pair) in enumerate(curves.items()):
        for doses, line in zip(pair, ("-", "--"), strict=True):
            x, y = cumulative(doses)
            axes.plot(x, 100 * y, line, color=colour(k), label=structure if line == "-" else None)
    axes.plot([], [], "-", color="gray", label="truth")
    axes.plot([], [], "--", color="gray", label="prediction")
    axes.set_xlim(left=0)
    below(axes, 2)


def cumulative(doses: Floats) -> tuple[Floats, Floats]:
    """Return (dose, share of voxels with at least that dose), thinned to at most 400 points."""
    x = np.concatenate([[0.0], np.sort(doses)])
    y = np.concatenate([[1.0], 1 - np.arange(doses.size) / doses.size])
    # A structure may have millions of voxels, and each point makes the vector picture larger.
    keep = np.unique(np.linspace(0, x.size - 1, min(x.size, 400)).astype(int))
    return x[keep], y[keep]
