"""Draws the cosines of the tasks' gradients, and how often two tasks were known in one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from polytask.report.drawing import FAINT, INK, Picture, figure, styled, svg
from polytask.study.conclusions.affinity import RUNS, Affinity
from polytask.study.conclusions.make import Conclusions
from polytask.study.report.amounts import counted, short

Floats = npt.NDArray[np.float64]
CELL = 0.62
"""Width and height of a cell of a matrix, in inches."""
LEAST = 0.25
"""The color scale reaches at least this cosine, so that small cosines look small."""
EXPLAINED = (
    "A cosine says whether two tasks ask the shared features to move the same way: 1 the same, 0 unrelated, below 0 "
    "against each other. It is taken at the cut, where the tasks part, and averaged over the looks of a run and then "
    "over runs. It can show a conflict in training; it cannot show that parting two tasks would help a patient — "
    "that is what the effects above are for — and values near 0 are what unrelated tasks have too. Where two tasks "
    "are seldom known in one sample, features of different patients are compared, and little is to be seen."
)


def with_titles(found: Conclusions) -> Affinity | None:
    """Return the affinity with the titles of the tasks in place of their names; None when there is none."""
    affinity = found.affinity
    if affinity is None:
        return None

    def write(tasks: Sequence[str]) -> tuple[str, ...]:
        return tuple(found.asked[task].title if task in found.asked else task for task in tasks)

    return replace(affinity, tasks=write(affinity.tasks), groups=tuple(map(write, affinity.groups)))


def picture(found: Affinity) -> Picture | None:
    """Draw both matrices side by side, or below each other for many tasks; None for a single task."""
    count = len(found.tasks)
    if count < 2:
        return None
    with styled():
        drawn, narrow = both(found, beside=count <= 7), both(found, beside=False)
        runs = f"{counted(found.runs, 'run')} of {found.arm}, {counted(found.looks, 'look')} at the gradients in all"
        sure = (
            "± twice the standard error over runs"
            if found.runs >= RUNS
            else f"{RUNS} runs would say how sure"
        )
        note = f"{runs}; {sure}. Purple: the same way; orange: against each other."
        return Picture(svg(drawn), spoken(found), note, narrow=svg(narrow))


def both(found: Affinity, beside: bool) -> Any:
    """Draw a figure with the two matrices, side by side or below each other."""
    side = CELL * (len(found.tasks) - 1)
    across, down = max(3.6, side + 1.9), side + 1.15
    drawn = figure(2 * across, down) if beside else figure(max(3.6, side + 2.0), 2 * down)
    left, right = drawn.subplots(1, 2) if beside else drawn.subplots(2, 1)
    # The diagonal is always 1 and would set the limits of the colors.
    off = found.cosine[~np.eye(len(found.tasks), dtype=bool)]
    seen = np.abs(off[np.isfinite(off)])
    most = max(LEAST, float(seen.max())) if seen.size else 1.0
    draw(left, found, found.cosine, "PuOr", (-most, most), cosine_text)
    left.set_title("Cosine of gradients")
    draw(right, found, found.common, "Blues", (0.0, 1.0), share_text)
    right.set_title("Steps with a common sample")
    return drawn


def draw(
    axes: Any, found: Affinity, values: Floats, colours: str, limits: tuple[float, float], text: Any
) -> None:
    """Draw the lower triangle of a matrix `[T, T]` with its numbers."""
    count = len(found.tasks)
    hidden = np.triu(np.ones((count, count), dtype=bool)) | ~np.isfinite(values)
    axes.imshow(
        np.ma.masked_array(values, hidden), cmap=colours, vmin=limits[0], vmax=limits[1], aspect="equal"
    )
    names = [short(t, 16) for t in found.tasks]
    axes.set_xticks(
        range(count - 1), names[:-1], rotation=0 if count < 4 else 40, ha="center" if count < 4 else "right"
    )
    axes.set_yticks(range(1, count), names[1:])
    axes.set(xlim=(-0.5, count - 1.5), ylim=(count - 0.5, 0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    far = max(map(abs, limits))
    for i in range(count):
        for j in range(i):
            # On dark cells the numbers are white, else they could not be read.
            dark = isfinite(values[i, j]) and abs(values[i, j]) > 0.62 * far
            axes.text(
                j, i, text(found, i, j), ha="center", va="center", fontsize=8, color="white" if dark else INK
            )
            axes.plot([j - 0.5, j + 0.5], [i + 0.5] * 2, color=FAINT, lw=0.5)


def cosine_text(found: Affinity, i: int, j: int) -> str:
    """Format a cosine with twice its standard error."""
    value, spread = found.cosine[i, j], found.spread[i, j]
    if not isfinite(value):
        return "–"
    sure = f"\n± {2 * spread:.2f}" if isfinite(spread) else ""
    # Values that round to 0 have no sign.
    text = f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"
    return text.replace("-", "−") + sure


def share_text(found: Affinity, i: int, j: int) -> str:
    """Format the share of steps with a common sample, in percent."""
    return f"{100 * found.common[i, j]:.0f} %" if isfinite(found.common[i, j]) else "–"


def spoken(found: Affinity) -> str:
    """Describe both matrices in words for readers who cannot see them."""
    pairs = [(i, j) for i in range(len(found.tasks)) for j in range(i)]
    told = [
        f"{found.tasks[j]} and {found.tasks[i]} {cosine_text(found, i, j)} with a common sample in "
        f"{share_text(found, i, j)} of steps".replace("\n", " ")
        for i, j in pairs
    ]
    return f"Cosines of the tasks’ gradients in {found.arm}: {'; '.join(told)}"


def grouping(found: Affinity) -> str:
    """Write which tasks to train together, or why nothing can be said about that."""
    if not found.groups:
        return f"{found.why[:1].upper()}{found.why[1:]}."
    named = " · ".join("{" + ", ".join(group) + "}" for group in found.groups)
    return f"Suggested groups: {named}, for {found.why}."
