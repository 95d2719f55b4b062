"""Pictures of masks: truth and prediction on the image, for the best, the median and the worst case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from polytask.array_types import Mask
from polytask.evaluation.metric_estimates import list_class_names
from polytask.report.drawing import (
    INK,
    LegendEntry,
    Picture,
    create_figure,
    encode_png,
    pick_palette_color,
    use_report_style,
)
from polytask.report.image_scale import GrayWindow, choose_gray_window, draw_scale_bar
from polytask.report.metric_tables import METRIC_TITLES
from polytask.report.report_material import ReportMaterial
from polytask.report.view_planes import ViewPlane, choose_view_planes, choose_zoom_ranges, show_cut, zoom_axes
from polytask.report.voxel_cases import (
    RankedCase,
    VoxelCase,
    choose_shown_cases,
    read_voxel_case,
    split_structure_masks,
)

TRUTH_OPACITY = 0.3
OUTSIDE_OPACITY = 0.6
CUT_PICTURE_INCHES = 3.0
"""Width of a slice on the page, in inches."""
StructurePair = tuple[int, Mask, Mask]
"""Index of the color, true mask and predicted mask of a structure."""


def make_overlay_pictures(material: ReportMaterial, name: str) -> list[Picture]:
    """Draw a picture for each slice of the best, the median and the worst case; in 2D one per case."""
    shown = choose_shown_cases(material, name)
    structures = list(list_class_names(material.tasks[name]))
    pictures = []
    for case in shown:
        voxel_case = read_voxel_case(material, name, case.who)
        lead = write_case_heading(case, material.tasks[name].primary)
        note = f"{describe_orientation(voxel_case)} Zoomed to the structures."
        note += " Dark: outside the judged region." if voxel_case.truth.region is not None else ""
        alt = f"{case.word.capitalize()} case of {material.names.task(name)}"
        pictures += make_cut_pictures(voxel_case, pair_structures(voxel_case, structures), lead, alt, note)
    return pictures


def list_overlay_legend(material: ReportMaterial, name: str) -> list[LegendEntry]:
    """List the legend: structures by color, and the meaning of filled areas and lines."""
    entries = [
        LegendEntry(pick_palette_color(k), material.names.word(name, s))
        for k, s in enumerate(list_class_names(material.tasks[name]))
    ]
    return [*entries, LegendEntry("", "filled: truth; line: prediction")]


def make_cut_pictures(
    voxel_case: VoxelCase, parts: Sequence[StructurePair], lead: str, alt: str, note: str
) -> list[Picture]:
    """Draw a picture for each plane of a case, with its caption below, so that no text covers the image.

    What holds for all planes stands only below the first one.
    """
    pictures = []
    union = locate_structures(voxel_case, parts)
    window = choose_gray_window(voxel_case.image[0], voxel_case.modality, union)
    with use_report_style():
        for k, plane in enumerate(choose_view_planes(voxel_case.grid, union)):
            drawn = create_figure(CUT_PICTURE_INCHES, CUT_PICTURE_INCHES + 0.25)
            draw_plane(drawn.subplots(), voxel_case, plane, parts, window)
            place = f"{plane.place[:1].upper()}{plane.place[1:]}." if plane.place else ""
            sentences = (place, window.text and f"{window.text}.", note) if k == 0 else (place,)
            caption = " ".join(w for w in sentences if w)
            pictures.append(
                Picture(
                    encode_png(drawn),
                    f"{alt} {plane.name}".strip(),
                    caption,
                    lead=lead,
                    width=CUT_PICTURE_INCHES,
                )
            )
    return pictures


def describe_orientation(voxel_case: VoxelCase) -> str:
    """Describe which side is the patient's right, where the file tells it."""
    return "The patient's right is at the left." if voxel_case.has_known_side else ""


def write_case_heading(case: RankedCase, metric: str) -> str:
    """Write the heading of a case: best, median or worst, the subject, and the metric."""
    who = " ".join(p for p in case.who if p)
    return (
        f"{case.word}: {who if len(who) < 32 else who[:30] + '…'}, {METRIC_TITLES.get(metric, metric)} "
        f"{case.value:.2f}."
    )


def pair_structures(voxel_case: VoxelCase, structures: Sequence[str], first: int = 0) -> list[StructurePair]:
    """Pair truth and prediction of each known structure with its color, counted from `first` on."""
    truth, answer = (
        split_structure_masks(v, len(structures))
        for v in (_convert_to_booleans(voxel_case.truth.value, voxel_case), voxel_case.answer)
    )
    return [(first + k, truth[k], answer[k]) for k in range(len(structures)) if voxel_case.truth.known[k]]


def locate_structures(voxel_case: VoxelCase, parts: Sequence[StructurePair]) -> Mask:
    """Return the union of the true masks `[*space]`; of the predicted ones when the truth is empty."""
    union = np.zeros(voxel_case.grid.shape, bool)
    for which in (1, 2):
        if not union.any():
            for part in parts:
                union = union | part[which]
    return union


def draw_case(row: Any, voxel_case: VoxelCase, structures: list[str]) -> None:
    """Draw all planes of one case, each on its own axes."""
    parts = pair_structures(voxel_case, structures)
    union = locate_structures(voxel_case, parts)
    window = choose_gray_window(voxel_case.image[0], voxel_case.modality, union)
    for axes, plane in zip(row, choose_view_planes(voxel_case.grid, union), strict=False):
        draw_plane(axes, voxel_case, plane, parts, window)


def draw_plane(
    axes: Any,
    voxel_case: VoxelCase,
    plane: ViewPlane,
    parts: Sequence[StructurePair],
    gray_window: GrayWindow,
) -> None:
    """Draw the image, the filled truth, the outline of the prediction, and a scale bar; only known structures."""
    draw_image(axes, voxel_case, plane, gray_window)
    if voxel_case.truth.region is not None:
        outside = ~np.asarray(plane.cut(voxel_case.truth.region, voxel_case.grid), bool)
        show_cut(axes, np.where(outside[..., None], (0.0, 0.0, 0.0, OUTSIDE_OPACITY), 0.0), plane)
    flat = [(k, plane.cut(t, voxel_case.grid), plane.cut(a, voxel_case.grid)) for k, t, a in parts]
    for k, truth, answer in flat:
        veil = np.zeros((*truth.shape, 4))
        veil[np.asarray(truth, bool)] = to_rgba(pick_palette_color(k), TRUTH_OPACITY)
        show_cut(axes, veil, plane)
        # A contour of a constant mask does not exist, and matplotlib warns about it.
        if answer.any() and not answer.all():
            axes.contour(
                answer.astype(np.float64), levels=[0.5], colors=[pick_palette_color(k)], linewidths=1.5
            )
    if flat:
        zoom_axes(axes, *choose_zoom_ranges([m for _, t, a in flat for m in (t, a)], plane.spacing))
    draw_scale_bar(axes, plane.spacing[1], voxel_case.physical)


def draw_image(axes: Any, voxel_case: VoxelCase, plane: ViewPlane, gray_window: GrayWindow) -> None:
    """Draw the image alone: colors as they are, gray values within the window."""
    if voxel_case.image.shape[0] == 3 and voxel_case.image.dtype == np.uint8:
        show_cut(axes, np.stack([plane.cut(c, voxel_case.grid) for c in voxel_case.image], -1), plane)
    else:
        show_cut(
            axes,
            plane.cut(voxel_case.image[0], voxel_case.grid),
            plane,
            vmin=gray_window.low,
            vmax=gray_window.high,
        )


def draw_overlay_legend(drawn: Any, structures: list[str]) -> None:
    """Draw the legend: structures by color, and the meaning of filled areas and lines."""
    marks: list[Any] = [Patch(color=pick_palette_color(k), label=s) for k, s in enumerate(structures)]
    marks += [
        Patch(facecolor=INK, alpha=TRUTH_OPACITY, label="truth"),
        Line2D([], [], color=INK, label="prediction"),
    ]
    drawn.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)))


def _convert_to_booleans(value: Any, voxel_case: VoxelCase) -> Any:
    """Convert overlapping masks `[K, *space]` to booleans; labels `[*space]` stay as they are."""
    return value > 0 if value.ndim > voxel_case.grid.dims else value
