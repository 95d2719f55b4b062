"""Pictures of a dose or map: truth, prediction, their difference, and dose-volume histograms."""

from __future__ import annotations

from typing import Any

import numpy as np

from polytask.array_types import Floats, Mask
from polytask.cohort import header
from polytask.evaluation.voxel_truth import read_structure_masks
from polytask.kinds import find_voxel_kind
from polytask.report.drawing import (
    Picture,
    create_figure,
    draw_empty_panel,
    draw_legend_below,
    encode_png,
    encode_svg,
    pick_palette_color,
    use_report_style,
)
from polytask.report.image_scale import choose_gray_window, draw_scale_bar
from polytask.report.overlay_plots import describe_orientation, draw_image, write_case_heading
from polytask.report.report_material import ReportMaterial
from polytask.report.view_planes import choose_view_planes, show_cut
from polytask.report.voxel_cases import RankedCase, VoxelCase, choose_shown_cases, read_voxel_case

MIN_DRAWN_DOSE_SHARE = 0.05
"""Doses below this share of the largest dose are not drawn, so that the image stays visible; of a map with negative
values all are drawn."""


def make_dose_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw truth, prediction and difference of each shown case, and the histograms of the median case."""
    shown = choose_shown_cases(material, name)
    if not shown:
        return []
    task, title = material.tasks[name], material.names.task(name)
    unit = str(getattr(task, "unit", "")) or find_voxel_kind(task.kind).noun
    voxel_cases = [read_voxel_case(material, name, s.who) for s in shown]
    pictures: list[Picture] = []
    for case, voxel_case in zip(shown, voxel_cases, strict=True):
        lead = f"{write_case_heading(case, task.primary).removesuffix('.')} {unit}:"
        pictures += make_dose_cuts(voxel_case, unit, lead, f"{case.word.capitalize()} case of {title}")
    with use_report_style():
        middle = len(shown) // 2
        curves = collect_structure_doses(material, name, shown[middle], voxel_cases[middle])
        if curves:
            drawn = create_figure(4.4, 3.6 + 0.17 * len(curves))
            spec = material.cohort.header.tasks[name]
            masks_of = str(getattr(spec, "structures", None))
            titled = {material.names.word(masks_of, s): pair for s, pair in curves.items()}
            draw_histograms(drawn.subplots(), titled, unit)
            who = " ".join(p for p in shown[middle].who if p)
            note = f"Share of each structure that receives at least a given dose, {shown[middle].word} case ({who})."
            pictures.append(Picture(encode_svg(drawn), f"Dose-volume histograms of {title}", note, width=4.4))
    return pictures


def make_dose_cuts(voxel_case: VoxelCase, unit: str, lead: str, alt: str) -> list[Picture]:
    """Draw truth, prediction and their difference over the image, in the slice with the largest area of large values.

    Truth and prediction share one scale, which has two sides where the truth is negative somewhere. Outside the region
    that counts nothing is drawn.
    """
    truth, answer = np.asarray(voxel_case.truth.value, np.float64), np.asarray(voxel_case.answer, np.float64)
    region = voxel_case.truth.region
    inside = np.ones(truth.shape, bool) if region is None else region
    # Truth and prediction share the scale of the truth, so that equal colors mean equal doses.
    signed = bool((truth[inside] < 0).any())
    size = np.abs(truth) if signed else truth
    top = float(max(size[inside].max(initial=0.0), 1e-9))
    hot = inside & (size >= 0.9 * top) if signed else truth >= 0.9 * top
    plane = choose_view_planes(voxel_case.grid, hot)[0]
    window = choose_gray_window(voxel_case.image[0], voxel_case.modality, hot)
    is_inside, gap = plane.cut(inside, voxel_case.grid), answer - truth
    # The 99.5 % quantile, because one wrong voxel would make all other differences pale. A color scale needs a width,
    # so 0 becomes 1.
    reach = (float(np.quantile(np.abs(gap[inside]), 0.995)) if inside.any() else 1.0) or 1.0
    high = "large true values" if signed else "high true dose"
    where = f"Axial slice with the largest area of {high}. " if voxel_case.grid.dims == 3 else ""
    place = f"{plane.place.removeprefix('axial, ').capitalize()}. " if plane.place else ""
    note = f"{where}{place}{window.text}. {describe_orientation(voxel_case)}".strip()
    pictures = []
    for word, dose in (("truth", truth), ("prediction", answer), ("prediction − truth", gap)):
        with use_report_style():
            drawn = create_figure(3.2, 2.9)
            axes = drawn.subplots()
            draw_image(axes, voxel_case, plane, window)
            cut = plane.cut(dose, voxel_case.grid)
            if word == "prediction − truth":
                look_of: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -reach, "vmax": reach, "alpha": 0.85}
                veil = np.ma.masked_where(~is_inside, cut)
            elif signed:
                look_of = {"cmap": "PuOr_r", "vmin": -top, "vmax": top, "alpha": 0.75}
                veil = np.ma.masked_where(~is_inside, cut)
            else:
                look_of = {"cmap": "turbo", "vmin": 0, "vmax": top, "alpha": 0.75}
                veil = np.ma.masked_where(~is_inside | (cut < MIN_DRAWN_DOSE_SHARE * top), cut)
            layer = show_cut(axes, veil, plane, **look_of)
            label = f"Δ {unit}" if word == "prediction − truth" else unit
            drawn.colorbar(layer, ax=axes, shrink=0.8, label=label, aspect=18)
            draw_scale_bar(axes, plane.spacing[1], voxel_case.physical)
            caption = f"{word}. {note}" if word == "truth" else f"{word}."
            pictures.append(Picture(encode_png(drawn), f"{alt}: {word}", caption, lead=lead, width=3.2))
    return pictures


def collect_structure_doses(
    material: ReportMaterial, name: str, case: RankedCase, voxel_case: VoxelCase
) -> dict[str, tuple[Floats, Floats]]:
    """Return structure → (true, predicted) doses of its voxels, if the header names structures for the dose."""
    spec = material.cohort.header.tasks[name]
    if not isinstance(spec, header.VoxelSpec) or not spec.judging_masks:
        return {}
    row = next(c for c in material.cohort.subjects[case.who[0]] if c.visit == case.who[1])
    masks: dict[str, Mask] = read_structure_masks(material.cohort, row, spec.judging_masks, voxel_case.grid)
    doses = {}
    for structure, mask in masks.items():
        judged = mask if voxel_case.truth.region is None else mask & voxel_case.truth.region
        if judged.any():
            doses[structure] = (
                np.asarray(voxel_case.truth.value[judged], np.float64),
                np.asarray(voxel_case.answer[judged], np.float64),
            )
    return doses


def draw_histograms(axes: Any, curves: dict[str, tuple[Floats, Floats]], unit: str) -> None:
    """Draw cumulative dose-volume histograms: truth solid, prediction dashed."""
    axes.set(title="Dose-volume histograms", xlabel=unit, ylabel="volume (%)", ylim=(0, 102))
    if not curves:
        draw_empty_panel(axes, "no structure known here")
        return
    for k, (structure, pair) in enumerate(curves.items()):
        for doses, line in zip(pair, ("-", "--"), strict=True):
            x, y = compute_cumulative_histogram(doses)
            axes.plot(x, 100 * y, line, color=pick_palette_color(k), label=structure if line == "-" else None)
    axes.plot([], [], "-", color="gray", label="truth")
    axes.plot([], [], "--", color="gray", label="prediction")
    axes.set_xlim(left=0)
    draw_legend_below(axes, 2)


def compute_cumulative_histogram(doses: Floats) -> tuple[Floats, Floats]:
    """Return (dose, share of voxels with at least that dose), thinned to at most 400 points."""
    x = np.concatenate([[0.0], np.sort(doses)])
    y = np.concatenate([[1.0], 1 - np.arange(doses.size) / doses.size])
    # A structure may have millions of voxels, and each point makes the vector picture larger.
    keep = np.unique(np.linspace(0, x.size - 1, min(x.size, 400)).astype(int))
    return x[keep], y[keep]
