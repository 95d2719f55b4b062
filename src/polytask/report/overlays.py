"""Pictures of masks: truth and prediction on the image, for the best, the median and the worst case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from polytask.evaluation.measure import names_of
from polytask.report.drawing import INK, Key, Picture, colour, figure, png, styled
from polytask.report.material import Material
from polytask.report.planes import Plane, planes, show, window, zoom
from polytask.report.scale import Window, draw_bar, window_of
from polytask.report.tables import NAMES
from polytask.report.voxels import Mask, Seen, Shown, chosen, look, masks

FILL = 0.3
DIM = 0.6
SIDE = 3.0
"""Width of a slice on the page, in inches."""
Part = tuple[int, Mask, Mask]
"""Index of the color, true mask and predicted mask of a structure."""


def pictures(material: Material, name: str) -> list[Picture]:
    """Draw a picture for each slice of the best, the median and the worst case; in 2D one per case."""
    shown = chosen(material, name)
    structures = list(names_of(material.tasks[name]))
    found = []
    for case in shown:
        seen = look(material, name, case.who)
        lead = heading(case, material.tasks[name].primary)
        note = f"{seen_as(seen)} Zoomed to the structures."
        note += " Dark: outside the region that counts." if seen.truth.region is not None else ""
        alt = f"{case.word.capitalize()} case of {material.names.task(name)}"
        found += cuts(seen, parts_of(seen, structures), lead, alt, note)
    return found


def keys(material: Material, name: str) -> list[Key]:
    """List the legend: structures by color, and the meaning of filled areas and lines."""
    found = [
        Key(colour(k), material.names.word(name, s)) for k, s in enumerate(names_of(material.tasks[name]))
    ]
    return [*found, Key("", "filled: truth; line: prediction")]


def cuts(seen: Seen, parts: Sequence[Part], lead: str, alt: str, note: str) -> list[Picture]:
    """Draw a picture for each plane of a case, with its caption below, so that no text covers the image.

    What holds for all planes stands only below the first one.
    """
    found = []
    there = anything(seen, parts)
    shown = window_of(seen.image[0], seen.modality, there)
    with styled():
        for k, plane in enumerate(planes(seen.grid, there)):
            drawn = figure(SIDE, SIDE + 0.25)
            draw_plane(drawn.subplots(), seen, plane, parts, shown)
            place = f"{plane.place[:1].upper()}{plane.place[1:]}." if plane.place else ""
            told = (place, shown.text and f"{shown.text}.", note) if k == 0 else (place,)
            words = " ".join(w for w in told if w)
            found.append(Picture(png(drawn), f"{alt} {plane.name}".strip(), words, lead=lead, width=SIDE))
    return found


def seen_as(seen: Seen) -> str:
    """Describe which side is the patient's right, where the file tells it."""
    return "The patient's right is at the left." if seen.sided else ""


def heading(case: Shown, metric: str) -> str:
    """Write the heading of a case: best, median or worst, the subject, and the metric."""
    who = " ".join(p for p in case.who if p)
    return f"{case.word}: {who if len(who) < 32 else who[:30] + '…'}, {NAMES.get(metric, metric)} {case.value:.2f}."


def parts_of(seen: Seen, structures: Sequence[str], first: int = 0) -> list[Part]:
    """Pair truth and prediction of each known structure with its color, counted from `first` on."""
    truth, answer = (masks(v, len(structures)) for v in (_planes(seen.truth.value, seen), seen.answer))
    return [(first + k, truth[k], answer[k]) for k in range(len(structures)) if seen.truth.known[k]]


def anything(seen: Seen, parts: Sequence[Part]) -> Mask:
    """Return the union of the true masks `[*space]`; of the predicted ones when the truth is empty."""
    there = np.zeros(seen.grid.shape, bool)
    for which in (1, 2):
        if not there.any():
            for part in parts:
                there = there | part[which]
    return there


def draw_case(row: Any, seen: Seen, structures: list[str]) -> None:
    """Draw all planes of one case, each on its own axes."""
    parts = parts_of(seen, structures)
    there = anything(seen, parts)
    shown = window_of(seen.image[0], seen.modality, there)
    for axes, plane in zip(row, planes(seen.grid, there), strict=False):
        draw_plane(axes, seen, plane, parts, shown)


def draw_plane(axes: Any, seen: Seen, plane: Plane, parts: Sequence[Part], shown: Window) -> None:
    """Draw the image, the filled truth, the outline of the prediction, and a scale bar; only known structures."""
    draw_image(axes, seen, plane, shown)
    if seen.truth.region is not None:
        outside = ~np.asarray(plane.cut(seen.truth.region, seen.grid), bool)
        show(axes, np.where(outside[..., None], (0.0, 0.0, 0.0, DIM), 0.0), plane)
    flat = [(k, plane.cut(t, seen.grid), plane.cut(a, seen.grid)) for k, t, a in parts]
    for k, truth, answer in flat:
        veil = np.zeros((*truth.shape, 4))
        veil[np.asarray(truth, bool)] = to_rgba(colour(k), FILL)
        show(axes, veil, plane)
        # A contour of a constant mask does not exist, and matplotlib warns about it.
        if answer.any() and not answer.all():
            axes.contour(answer.astype(np.float64), levels=[0.5], colors=[colour(k)], linewidths=1.5)
    if flat:
        zoom(axes, *window([m for _, t, a in flat for m in (t, a)], plane.spacing))
    draw_bar(axes, plane.spacing[1], seen.physical)


def draw_image(axes: Any, seen: Seen, plane: Plane, shown: Window) -> None:
    """Draw the image alone: colors as they are, gray values within the window."""
    if seen.image.shape[0] == 3 and seen.image.dtype == np.uint8:
        show(axes, np.stack([plane.cut(c, seen.grid) for c in seen.image], -1), plane)
    else:
        show(axes, plane.cut(seen.image[0], seen.grid), plane, vmin=shown.low, vmax=shown.high)


def legend(drawn: Any, structures: list[str]) -> None:
    """Draw the legend: structures by color, and the meaning of filled areas and lines."""
    marks: list[Any] = [Patch(color=colour(k), label=s) for k, s in enumerate(structures)]
    marks += [Patch(facecolor=INK, alpha=FILL, label="truth"), Line2D([], [], color=INK, label="prediction")]
    drawn.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)))


def _planes(value: Any, seen: Seen) -> Any:
    """Convert overlapping masks `[K, *space]` to booleans; labels `[*space]` stay as they are."""
    return value > 0 if value.ndim > seen.grid.dims else value
