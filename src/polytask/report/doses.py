"""Truth, prediction and difference of a dose, and dose-volume histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.cohort import header
from polytask.evaluation.truth import structure_masks
from polytask.report.drawing import Picture, colour, figure, nothing, png, styled, svg
from polytask.report.material import Material
from polytask.report.overlays import heading
from polytask.report.planes import grey, planes, show
from polytask.report.voxels import Mask, Seen, Shown, chosen, look

Floats = npt.NDArray[np.float64]
FAINTEST = 0.05
"""Share of the largest dose below which the image shows through."""


def pictures(material: Material, name: str) -> list[Picture]:
    """A row a case: truth, prediction, difference; and the histograms of the median case."""
    shown = chosen(material, name)
    if not shown:
        return []
    unit = str(getattr(material.tasks[name], "unit", "")) or "dose"
    seen = [look(material, name, s.who) for s in shown]
    with styled():
        drawn = figure(9.2, 2.9 * len(seen))
        axes = drawn.subplots(len(seen), 3, squeeze=False)
        for row, case, found in zip(axes, shown, seen, strict=True):
            draw_dose(drawn, row, found, unit)
            row[0].set_title(f"{heading(case, material.tasks[name].primary)} {unit} · truth", fontsize=9)
            row[1].set_title("prediction", fontsize=9)
            row[2].set_title("prediction − truth", fontsize=9)
        note = "Axial cut where the true dose is largest." if seen[0].grid.dims == 3 else ""
        alt = f"Truth, prediction and difference of {name}"
        found_pictures = [Picture(png(drawn), alt, note, wide=True)]
        middle = len(shown) // 2
        curves = histograms(material, name, shown[middle], seen[middle])
        if curves:
            drawn = figure(6.6, 3.4)
            draw_histograms(drawn.subplots(), curves, unit)
            who = " ".join(p for p in shown[middle].who if p)
            note = f"Share of each structure that gets at least a dose, {shown[middle].word} case ({who})."
            found_pictures.append(Picture(svg(drawn), f"Dose-volume histograms of {name}", note))
        return found_pictures


def draw_dose(drawn: Any, row: Any, seen: Seen, unit: str) -> None:
    """Three axes: truth and prediction on one scale over the image, and their difference. Outside the region
    nothing is shown."""
    truth, answer = np.asarray(seen.truth.value, np.float64), np.asarray(seen.answer, np.float64)
    region = seen.truth.region
    inside = np.ones(truth.shape, bool) if region is None else region
    top = float(max(truth[inside].max(initial=0.0), 1e-9))
    plane = planes(seen.grid, truth >= 0.9 * top)[0]
    image, (low, high) = plane.cut(seen.image[0], seen.grid), grey(seen.image[0])
    here = plane.cut(inside, seen.grid)
    gap = answer - truth
    reach = float(np.quantile(np.abs(gap[inside]), 0.995)) if inside.any() else 1.0
    for axes, dose in zip(row, (truth, answer), strict=False):
        show(axes, image, plane, vmin=low, vmax=high)
        cut = plane.cut(dose, seen.grid)
        veil = np.ma.masked_where(~here | (cut < FAINTEST * top), cut)
        drawn_dose = show(axes, veil, plane, cmap="turbo", vmin=0, vmax=top, alpha=0.75)
    drawn.colorbar(drawn_dose, ax=list(row[:2]), shrink=0.75, label=unit, aspect=18)
    show(row[2], image, plane, vmin=low, vmax=high)
    veil = np.ma.masked_where(~here, plane.cut(gap, seen.grid))
    reach = reach or 1.0
    difference = show(row[2], veil, plane, cmap="RdBu_r", vmin=-reach, vmax=reach, alpha=0.85)
    drawn.colorbar(difference, ax=row[2], shrink=0.75, label=f"Δ {unit}", aspect=18)


def histograms(material: Material, name: str, case: Shown, seen: Seen) -> dict[str, tuple[Floats, Floats]]:
    """Structure → (true, predicted) doses inside, where the header names structures."""
    spec = material.cohort.header.tasks[name]
    if not isinstance(spec, header.Dose) or not spec.structures:
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
    """Cumulative histograms: truth solid, prediction dashed."""
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
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def cumulative(doses: Floats) -> tuple[Floats, Floats]:
    """(dose, share of the voxels with at least that dose), ready to draw."""
    x = np.concatenate([[0.0], np.sort(doses)])
    y = np.concatenate([[1.0], 1 - np.arange(doses.size) / doses.size])
    keep = np.unique(np.linspace(0, x.size - 1, min(x.size, 400)).astype(int))
    return x[keep], y[keep]
