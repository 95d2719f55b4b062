"""The forest plot: the effect of every joint arm on every task, with its interval and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from polytask.report.drawing import BLUE, INK, RED, Picture, create_figure, encode_svg, use_report_style
from polytask.statistics.verdict_words import VerdictWord
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.conclusions.finished_runs import TaskInfo
from polytask.study.report.effect_text import (
    POINTS_UNIT,
    format_amount,
    format_change,
    format_effect_unit,
    format_metric_with_unit,
    shorten_name,
)

SOFT_INK = "#5c6b77"
PALE_INK = "#8a97a1"
VERDICT_INKS: dict[VerdictWord, str] = {
    **{"better": BLUE, "worse": RED, "no difference shown": SOFT_INK},
    **{
        "too few": PALE_INK,
        "one training each": PALE_INK,
        "nothing learned yet": PALE_INK,
        "not defined": PALE_INK,
    },
}
NAMES_WIDTH, PLOT_WIDTH, EFFECT_WIDTH, VERDICT_WIDTH = 1.75, 3.75, 1.75, 3.05
"""Widths in inches: names, drawing, the effect in numbers, the verdict."""
NARROW_NAMES_WIDTH, NARROW_PLOT_WIDTH = 1.2, 2.6
"""Widths on a narrow screen, without numbers and verdict: the tables below show those."""
ROW_HEIGHT, TITLE_HEIGHT, AXIS_HEIGHT = 0.27, 0.36, 0.5
"""Heights in inches: a row, the name of the task above its rows, and the axis below them."""
TITLE_ROW = -0.85
"""Vertical position of the name of a task, counted in rows."""
MAX_SHARED_SCALE_RATIO = 4.0
"""Tasks share one scale as long as the widest is at most this many times as wide as the narrowest."""


FOREST_NOTE = (
    "Dot: effect against single networks; to the right of 0 is better. Broad band: interval at the confidence level at "
    "which Holm’s procedure judged this comparison among all comparisons; it excludes 0 where a difference is shown "
    "(filled dot). “Too few” and “one training each” make no claim, wherever the band lies. Thin line: plain 95 % "
    "interval. Arrow: the interval continues beyond the drawing. “Would have shown ≥ X”: a true effect of that size "
    "would have been shown in four of five studies."
)


def make_forest_pictures(conclusions: Conclusions) -> list[Picture]:
    """Draw one picture per task with one row per arm, so that a page can break between them."""
    panels = {task: [c for c in conclusions.comparisons if c.task == task] for task in conclusions.asked}
    panels = {task: rows for task, rows in panels.items() if rows}
    spans = choose_axis_spans(panels, conclusions.asked)
    with use_report_style():
        return [
            make_task_forest(rows, conclusions.asked[task], spans[task], task == next(iter(panels)))
            for task, rows in panels.items()
        ]


def make_task_forest(rows: Sequence[ArmComparison], task_info: TaskInfo, span: float, first: bool) -> Picture:
    """Draw the forest plot of one task; the first one has titles above the columns of text."""
    drawn, axes = create_forest_axes(len(rows), NAMES_WIDTH, PLOT_WIDTH, EFFECT_WIDTH + VERDICT_WIDTH)
    draw_task_rows(axes, rows, task_info, span)
    for k, c in enumerate(rows):
        strong = "bold" if c.verdict.word in ("better", "worse") else "normal"
        write_row_text(
            axes, k, *format_comparison(c, task_info), color=VERDICT_INKS[c.verdict.word], fontweight=strong
        )
    if first:
        write_row_text(axes, TITLE_ROW, "effect [interval]", "verdict", color=SOFT_INK)
    narrow, axes = create_forest_axes(len(rows), NARROW_NAMES_WIDTH, NARROW_PLOT_WIDTH, 0.1)
    draw_task_rows(axes, rows, task_info, span, NARROW_NAMES_WIDTH / NARROW_PLOT_WIDTH)
    return Picture(
        encode_svg(drawn), write_forest_alt_text(rows, task_info), wide=True, narrow=encode_svg(narrow)
    )


def create_forest_axes(rows: int, left: float, plot: float, right: float) -> tuple[Any, Any]:
    """Create a figure and its axes: names on the left, `plot` inches of drawing, text on the right."""
    width, tall = left + plot + right, ROW_HEIGHT * rows
    height = TITLE_HEIGHT + tall + AXIS_HEIGHT
    drawn = create_figure(width, height)
    # Widths are in inches and must match between tasks; an automatic layout would shift the axes.
    drawn.set_layout_engine("none")
    return drawn, drawn.add_axes((left / width, AXIS_HEIGHT / height, plot / width, tall / height))


def write_forest_note(conclusions: Conclusions) -> str:
    """Write the note that explains the drawings."""
    panels = {task: [c for c in conclusions.comparisons if c.task == task] for task in conclusions.asked}
    spans = choose_axis_spans({t: rows for t, rows in panels.items() if rows}, conclusions.asked)
    units = {conclusions.asked[t].unit for t in spans}
    own = len({(conclusions.asked[t].unit, span) for t, span in spans.items()}) > len(units)
    return f"{FOREST_NOTE} Each task has its own scale." if own else FOREST_NOTE


def choose_axis_spans(
    panels: dict[str, list[ArmComparison]], task_infos: dict[str, TaskInfo]
) -> dict[str, float]:
    """Choose the half-width of every task's axis: one for all tasks in points, unless that would hide narrow ones."""
    own = {task: compute_axis_span(rows) for task, rows in panels.items()}
    spans = {}
    for task in panels:
        alike = [own[t] for t in panels if task_infos[t].unit == task_infos[task].unit]
        shared = task_infos[task].unit == POINTS_UNIT and max(alike) <= MAX_SHARED_SCALE_RATIO * min(alike)
        spans[task] = max(alike) if shared else own[task]
    return spans


def compute_axis_span(rows: Sequence[ArmComparison]) -> float:
    """Compute how far an axis reaches to either side: it shows all effects and most intervals, but no very wide one."""
    effects = [abs(c.effect.estimate) for c in rows if isfinite(c.effect.estimate)]
    ends = [max(map(abs, c.effect.interval())) for c in rows if isfinite(c.effect.interval()[0])]
    ends += [max(abs(c.verdict.low), abs(c.verdict.high)) for c in rows if isfinite(c.verdict.low)]
    # The median keeps one very wide interval from squeezing all others; it gets an arrow instead.
    widest = min(max(ends), 6 * float(np.median(ends))) if ends else 0.0
    # An axis of width 0 cannot be drawn, so nothing finite at all gives 1.
    return 1.08 * max([widest, 1.1 * max(effects, default=0.0)]) or 1.0


def draw_task_rows(
    axes: Any,
    rows: Sequence[ArmComparison],
    task_info: TaskInfo,
    span: float,
    names: float = NAMES_WIDTH / PLOT_WIDTH,
) -> None:
    """Draw the rows of a task, the first arm on top; `names` is the width of the names ÷ that of the drawing."""
    narrow = names != NAMES_WIDTH / PLOT_WIDTH
    axes.set(xlim=(-span, span), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=INK, lw=1.1, zorder=1)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(len(rows)), [shorten_name(c.arm, 14 if narrow else 24) for c in rows])
    name_transform = axes.get_yaxis_transform()
    placement = {"transform": name_transform, "va": "center"}
    axes.text(
        -names + 0.01,
        TITLE_ROW,
        shorten_name(task_info.title, 32 if narrow else 48),
        fontweight="bold",
        fontsize=10.5,
        **placement,
    )
    axes.text(
        1.0,
        TITLE_ROW,
        format_metric_with_unit(task_info),
        ha="right",
        color=SOFT_INK,
        fontsize=8.5,
        **placement,
    )
    unit = format_effect_unit(task_info)
    if not any(isfinite(c.effect.estimate) for c in rows):
        axes.set_xticks([])
    if narrow:
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(f"← single   {shorten_name(unit, 14)}   joint →", fontsize=8.5)
    else:
        axes.set_xlabel(
            f"← single better     difference in {shorten_name(unit, 24)}     joint better →", fontsize=8.5
        )
    for k, c in enumerate(rows):
        draw_comparison_row(axes, k, c, span)


def write_row_text(axes: Any, height: float, numbers: str, words: str, **look: Any) -> None:
    """Write the text of one row into the two columns right of the drawing."""
    row_transform = axes.get_yaxis_transform()
    ink = look["color"] if height == TITLE_ROW else INK
    axes.text(
        1 + 0.12 / PLOT_WIDTH, height, numbers, transform=row_transform, va="center", fontsize=8.5, color=ink
    )
    axes.text(
        1 + EFFECT_WIDTH / PLOT_WIDTH,
        height,
        words,
        transform=row_transform,
        va="center",
        fontsize=8.5,
        **look,
    )


def draw_comparison_row(axes: Any, k: int, c: ArmComparison, span: float) -> None:
    """Draw the two intervals (band and line) and the dot of one comparison."""
    ink, v = VERDICT_INKS[c.verdict.word], c.verdict
    for (low, high), width, strength in (((v.low, v.high), 8.0, 0.3), (c.effect.interval(), 1.5, 1.0)):
        if not (isfinite(low) and isfinite(high)):
            continue
        axes.plot(
            [max(low, -span), min(high, span)],
            [k, k],
            color=ink,
            lw=width,
            alpha=strength,
            solid_capstyle="butt",
            zorder=2,
        )
        for end, beyond, mark in ((-span, low < -span, "<"), (span, high > span, ">")):
            if beyond:
                axes.plot(end, k, mark, color=ink, ms=5, clip_on=False, zorder=4)
    if isfinite(c.effect.estimate):
        shown = v.word in ("better", "worse")
        axes.plot(
            c.effect.estimate, k, "o", ms=6, color=ink, mfc=ink if shown else "white", mew=1.5, zorder=5
        )


def format_comparison(c: ArmComparison, task_info: TaskInfo) -> tuple[str, str]:
    """Format the text beside a row: the effect with its interval, and the verdict."""
    v = c.verdict
    if not isfinite(c.effect.estimate):
        return "", "not defined"
    numbers = format_change(c.effect.estimate, task_info)
    if isfinite(v.low):
        numbers += f" [{format_amount(v.low, task_info)}, {format_amount(v.high, task_info)}]"
    detectable = (
        f" (would have shown ≥ {format_amount(v.detectable, task_info)})" if isfinite(v.detectable) else ""
    )
    return numbers, f"{v.word}{detectable}"


def write_forest_alt_text(rows: Sequence[ArmComparison], task_info: TaskInfo) -> str:
    """Describe the drawing in words for readers who cannot see it."""
    row_texts = "; ".join(f"{c.arm} {' '.join(format_comparison(c, task_info))}" for c in rows)
    return f"Effect of joint arms against single networks on {task_info.title}: {row_texts}"
