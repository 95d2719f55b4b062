"""Truth and prediction of masks on the image: the best, the median and the worst case."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from polytask.evaluation.measure import names_of
from polytask.report.drawing import INK, Picture, colour, figure, png, styled
from polytask.report.material import Material
from polytask.report.planes import Plane, grey, planes, show, window, zoom
from polytask.report.tables import NAMES
from polytask.report.voxels import Mask, Seen, Shown, chosen, look, masks

FILL = 0.3
DIM = 0.6


def pictures(material: Material, name: str) -> list[Picture]:
    """One figure: a row a case and a column a plane; in 2D a column a case."""
    shown = chosen(material, name)
    structures = list(names_of(material.tasks[name]))
    if not shown:
        return []
    seen = [look(material, name, s.who) for s in shown]
    solid = seen[0].grid.dims == 3
    shape = (len(seen), 3) if solid else (1, len(seen))
    with styled():
        drawn = figure(3.0 * shape[1] + 0.2, 2.9 * shape[0] + 0.5)
        axes = drawn.subplots(*shape, squeeze=False)
        for k, (case, found) in enumerate(zip(shown, seen, strict=True)):
            row = axes[k] if solid else axes[0][k : k + 1]
            draw_case(row, found, structures)
            title = heading(case, material.tasks[name].primary)
            row[0].set_title(title, fontsize=9)
        legend(drawn, structures)
        zoomed = (
            "Cut where most of the truth lies and zoomed to it; " if solid else "Zoomed to the structures; "
        )
        dimmed = any(s.truth.region is not None for s in seen)
        note = f"{zoomed}filled: truth, line: prediction. The patient's right is at the left."
        note += " Dark: outside the region that counts." if dimmed else ""
        return [Picture(png(drawn), f"Best, median and worst case of {name}", note, wide=True)]


def heading(case: Shown, metric: str) -> str:
    """Which case, who, how good."""
    who = " ".join(p for p in case.who if p)
    return f"{case.word}: {who if len(who) < 32 else who[:30] + '…'}\n{NAMES.get(metric, metric)} {case.value:.2f}"


def draw_case(row: Any, seen: Seen, structures: list[str]) -> None:
    """All planes of one case, one axes each."""
    truth, answer = (masks(v, len(structures)) for v in (_planes(seen.truth.value, seen), seen.answer))
    known = [k for k in range(len(structures)) if seen.truth.known[k]]
    there = np.zeros(seen.grid.shape, bool)
    for k in known:
        there |= truth[k]
    if not there.any():
        for k in known:
            there |= answer[k]
    for axes, plane in zip(row, planes(seen.grid, there), strict=False):
        draw_plane(axes, seen, plane, [(k, truth[k], answer[k]) for k in known])


def draw_plane(axes: Any, seen: Seen, plane: Plane, parts: list[tuple[int, Mask, Mask]]) -> None:
    """Image, filled truth and the line of the prediction; structures that are unknown are left out."""
    if seen.image.shape[0] == 3 and seen.image.dtype == np.uint8:
        show(axes, np.stack([plane.cut(c, seen.grid) for c in seen.image], -1), plane)
    else:
        low, high = grey(seen.image[0])
        show(axes, plane.cut(seen.image[0], seen.grid), plane, vmin=low, vmax=high)
    if seen.truth.region is not None:
        outside = ~np.asarray(plane.cut(seen.truth.region, seen.grid), bool)
        show(axes, np.where(outside[..., None], (0.0, 0.0, 0.0, DIM), 0.0), plane)
    cuts = [(k, plane.cut(t, seen.grid), plane.cut(a, seen.grid)) for k, t, a in parts]
    for k, truth, answer in cuts:
        veil = np.zeros((*truth.shape, 4))
        veil[np.asarray(truth, bool)] = to_rgba(colour(k), FILL)
        show(axes, veil, plane)
        if answer.any() and not answer.all():
            axes.contour(answer.astype(np.float64), levels=[0.5], colors=[colour(k)], linewidths=1.5)
    if cuts:
        zoom(axes, *window([m for _, t, a in cuts for m in (t, a)], plane.spacing))
    if plane.name:
        box = {"facecolor": "black", "edgecolor": "none", "alpha": 0.5, "pad": 1.5}
        axes.text(0.02, 0.02, plane.name, color="white", fontsize=7, transform=axes.transAxes, bbox=box)


def legend(drawn: Any, structures: list[str]) -> None:
    """Structures by colour, and what filled and line mean."""
    marks: list[Any] = [Patch(color=colour(k), label=s) for k, s in enumerate(structures)]
    marks += [Patch(facecolor=INK, alpha=FILL, label="truth"), Line2D([], [], color=INK, label="prediction")]
    drawn.legend(handles=marks, loc="outside lower center", ncols=min(6, len(marks)))


def _planes(value: Any, seen: Seen) -> Any:
    """Overlapping masks as booleans, so that labels and planes are told apart."""
    return value > 0 if value.ndim > seen.grid.dims else value
