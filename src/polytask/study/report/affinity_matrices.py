"""Draws the cosines of the tasks' gradients, and how often two tasks were known in one sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.report.drawing import FAINT_INK, INK, Picture, create_figure, encode_svg, use_report_style
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.task_affinity import MIN_RUNS_FOR_ERROR, Affinity
from polytask.study.report.effect_text import count_with_noun, shorten_name

MATRIX_CELL_INCHES = 0.62
"""Width and height of a cell of a matrix, in inches."""
MIN_COSINE_LIMIT = 0.25
"""The color scale reaches at least this cosine, so that small cosines look small."""
COSINE_EXPLANATION = (
    "The cosine of two tasks’ gradients says whether both tasks change the shared features in the same direction: 1 "
    "the same direction, 0 unrelated, below 0 opposite directions. It is measured where the tasks’ paths separate "
    "(the cut), and averaged over the logged steps of a run and then over runs. It can show a conflict in training; it "
    "cannot show that separating two tasks would help a patient (only the effects above can show that), and values "
    "near 0 are also what unrelated tasks have. Where two tasks are seldom known in the same sample, features of "
    "different patients are compared, and little can be concluded."
)


def use_task_titles(conclusions: Conclusions) -> Affinity | None:
    """Return the affinity with the titles of the tasks in place of their names; None when there is none."""
    affinity = conclusions.affinity
    if affinity is None:
        return None

    def write(tasks: Sequence[str]) -> tuple[str, ...]:
        return tuple(conclusions.asked[task].title if task in conclusions.asked else task for task in tasks)

    return replace(affinity, tasks=write(affinity.tasks), groups=tuple(map(write, affinity.groups)))


def make_affinity_picture(affinity: Affinity) -> Picture | None:
    """Draw both matrices side by side, or below each other for many tasks; None for a single task."""
    count = len(affinity.tasks)
    if count < 2:
        return None
    with use_report_style():
        drawn, narrow = (
            draw_both_matrices(affinity, side_by_side=count <= 7),
            draw_both_matrices(affinity, side_by_side=False),
        )
        runs = (
            f"{count_with_noun(affinity.runs, 'run')} of {affinity.arm}, "
            f"gradients logged at {count_with_noun(affinity.looks, 'step')} in all"
        )
        precision = (
            "± twice the standard error over runs"
            if affinity.runs >= MIN_RUNS_FOR_ERROR
            else f"a standard error needs {MIN_RUNS_FOR_ERROR} runs"
        )
        note = f"{runs}; {precision}. Purple: same direction; orange: opposite directions."
        return Picture(encode_svg(drawn), write_affinity_alt_text(affinity), note, narrow=encode_svg(narrow))


def draw_both_matrices(affinity: Affinity, side_by_side: bool) -> Any:
    """Draw a figure with the two matrices, side by side or below each other."""
    side = MATRIX_CELL_INCHES * (len(affinity.tasks) - 1)
    across, down = max(3.6, side + 1.9), side + 1.15
    drawn = create_figure(2 * across, down) if side_by_side else create_figure(max(3.6, side + 2.0), 2 * down)
    left, right = drawn.subplots(1, 2) if side_by_side else drawn.subplots(2, 1)
    # The diagonal is always 1 and would set the limits of the colors.
    off = affinity.cosine[~np.eye(len(affinity.tasks), dtype=bool)]
    finite_cosines = np.abs(off[np.isfinite(off)])
    color_limit = max(MIN_COSINE_LIMIT, float(finite_cosines.max())) if finite_cosines.size else 1.0
    draw_lower_triangle(left, affinity, affinity.cosine, "PuOr", (-color_limit, color_limit), format_cosine)
    left.set_title("Cosine of gradients")
    draw_lower_triangle(right, affinity, affinity.common, "Blues", (0.0, 1.0), format_common_share)
    right.set_title("Steps with a common sample")
    return drawn


def draw_lower_triangle(
    axes: Any, affinity: Affinity, values: Floats, color_map: str, limits: tuple[float, float], text: Any
) -> None:
    """Draw the lower triangle of a matrix `[T, T]` with its numbers."""
    count = len(affinity.tasks)
    hidden = np.triu(np.ones((count, count), dtype=bool)) | ~np.isfinite(values)
    axes.imshow(
        np.ma.masked_array(values, hidden), cmap=color_map, vmin=limits[0], vmax=limits[1], aspect="equal"
    )
    names = [shorten_name(t, 16) for t in affinity.tasks]
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
                j,
                i,
                text(affinity, i, j),
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else INK,
            )
            axes.plot([j - 0.5, j + 0.5], [i + 0.5] * 2, color=FAINT_INK, lw=0.5)


def format_cosine(affinity: Affinity, i: int, j: int) -> str:
    """Format a cosine with twice its standard error."""
    value, spread = affinity.cosine[i, j], affinity.spread[i, j]
    if not isfinite(value):
        return "–"
    sure = f"\n± {2 * spread:.2f}" if isfinite(spread) else ""
    # Values that round to 0 have no sign.
    text = f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"
    return text.replace("-", "−") + sure


def format_common_share(affinity: Affinity, i: int, j: int) -> str:
    """Format the share of steps with a common sample, in percent."""
    return f"{100 * affinity.common[i, j]:.0f} %" if isfinite(affinity.common[i, j]) else "–"


def write_affinity_alt_text(affinity: Affinity) -> str:
    """Describe both matrices in words for readers who cannot see them."""
    pairs = [(i, j) for i in range(len(affinity.tasks)) for j in range(i)]
    pair_texts = [
        f"{affinity.tasks[j]} and {affinity.tasks[i]} {format_cosine(affinity, i, j)} with a common sample in "
        f"{format_common_share(affinity, i, j)} of steps".replace("\n", " ")
        for i, j in pairs
    ]
    return f"Cosines of the tasks’ gradients in {affinity.arm}: {'; '.join(pair_texts)}"


def describe_task_groups(affinity: Affinity) -> str:
    """Write which tasks to train together, or why nothing can be said about that."""
    if not affinity.groups:
        return f"{affinity.why[:1].upper()}{affinity.why[1:]}."
    named = " · ".join("{" + ", ".join(group) + "}" for group in affinity.groups)
    return f"Suggested groups: {named}, for {affinity.why}."
