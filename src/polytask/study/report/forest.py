"""The forest plot: the effect of every joint arm on every task, with its interval and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import numpy as np

from polytask.report.drawing import BLUE, INK, RED, Picture, figure, styled, svg
from polytask.statistics.words import Word
from polytask.study.conclusions.compare import Comparison
from polytask.study.conclusions.gather import Asked
from polytask.study.conclusions.make import Conclusions
from polytask.study.report.amounts import POINTS, amount, change, metric_of, short, unit_of

SOFT = "#5c6b77"
PALE = "#8a97a1"
INKS: dict[Word, str] = {
    **{"better": BLUE, "worse": RED, "no difference shown": SOFT},
    **{"too few": PALE, "one training each": PALE, "nothing learned yet": PALE, "not defined": PALE},
}
LEFT, PLOT, EFFECT, WORDS = 1.75, 3.75, 1.75, 3.05
"""Widths in inches: names, drawing, the effect in numbers, the verdict."""
NARROW_LEFT, NARROW_PLOT = 1.2, 2.6
"""Widths on a narrow screen, without numbers and verdict: the tables below show those."""
ROW, ABOVE, BELOW = 0.27, 0.36, 0.5
"""Heights in inches: a row, the name of the task above its rows, and the axis below them."""
ABOVE_ROWS = -0.85
"""Vertical position of the name of a task, counted in rows."""
ALIKE = 4.0
"""Tasks share one scale as long as the widest is at most this many times as wide as the narrowest."""


NOTE = (
    "Dot: effect against single networks, to the right of 0 better. Broad band: interval at the level at which Holm’s "
    "procedure judged the comparison among all those made; it leaves 0 out where a difference is shown (filled dot). "
    "“Too few” and “one training each” make no claim, wherever the band lies. Thin line: plain 95 % interval. An "
    "arrow: it goes on beyond the drawing. “Would have shown ≥ X”: a true effect of that size would have been shown "
    "four times out of five."
)


def pictures(found: Conclusions) -> list[Picture]:
    """Draw one picture per task with one row per arm, so that a page can break between them."""
    panels = {task: [c for c in found.comparisons if c.task == task] for task in found.asked}
    panels = {task: rows for task, rows in panels.items() if rows}
    spans = scales(panels, found.asked)
    with styled():
        return [
            picture(rows, found.asked[task], spans[task], task == next(iter(panels)))
            for task, rows in panels.items()
        ]


def picture(rows: Sequence[Comparison], asked: Asked, span: float, first: bool) -> Picture:
    """Draw the forest plot of one task; the first one has titles above the columns of text."""
    drawn, axes = canvas(len(rows), LEFT, PLOT, EFFECT + WORDS)
    draw_task(axes, rows, asked, span)
    for k, c in enumerate(rows):
        strong = "bold" if c.verdict.word in ("better", "worse") else "normal"
        put(axes, k, *written(c, asked), color=INKS[c.verdict.word], fontweight=strong)
    if first:
        put(axes, ABOVE_ROWS, "effect [interval]", "what it says", color=SOFT)
    narrow, axes = canvas(len(rows), NARROW_LEFT, NARROW_PLOT, 0.1)
    draw_task(axes, rows, asked, span, NARROW_LEFT / NARROW_PLOT)
    return Picture(svg(drawn), spoken(rows, asked), wide=True, narrow=svg(narrow))


def canvas(rows: int, left: float, plot: float, right: float) -> tuple[Any, Any]:
    """Create a figure and its axes: names on the left, `plot` inches of drawing, text on the right."""
    width, tall = left + plot + right, ROW * rows
    height = ABOVE + tall + BELOW
    drawn = figure(width, height)
    # Widths are in inches and must match between tasks; an automatic layout would shift the axes.
    drawn.set_layout_engine("none")
    return drawn, drawn.add_axes((left / width, BELOW / height, plot / width, tall / height))


def note(found: Conclusions) -> str:
    """Write the note that explains the drawings."""
    panels = {task: [c for c in found.comparisons if c.task == task] for task in found.asked}
    spans = scales({t: rows for t, rows in panels.items() if rows}, found.asked)
    units = {found.asked[t].unit for t in spans}
    own = len({(found.asked[t].unit, span) for t, span in spans.items()}) > len(units)
    return f"{NOTE} Tasks have scales of their own." if own else NOTE


def scales(panels: dict[str, list[Comparison]], asked: dict[str, Asked]) -> dict[str, float]:
    """Choose the half-width of every task's axis: one for all tasks in points, unless that would hide narrow ones."""
    own = {task: reach(rows) for task, rows in panels.items()}
    found = {}
    for task in panels:
        alike = [own[t] for t in panels if asked[t].unit == asked[task].unit]
        shared = asked[task].unit == POINTS and max(alike) <= ALIKE * min(alike)
        found[task] = max(alike) if shared else own[task]
    return found


def reach(rows: Sequence[Comparison]) -> float:
    """Compute how far an axis reaches to either side: it shows all effects and most intervals, but no very wide one."""
    effects = [abs(c.effect.estimate) for c in rows if isfinite(c.effect.estimate)]
    ends = [max(map(abs, c.effect.interval())) for c in rows if isfinite(c.effect.interval()[0])]
    ends += [max(abs(c.verdict.low), abs(c.verdict.high)) for c in rows if isfinite(c.verdict.low)]
    # The median keeps one very wide interval from squeezing all others; it gets an arrow instead.
    widest = min(max(ends), 6 * float(np.median(ends))) if ends else 0.0
    # An axis of width 0 cannot be drawn, so nothing finite at all gives 1.
    return 1.08 * max([widest, 1.1 * max(effects, default=0.0)]) or 1.0


def draw_task(
    axes: Any, rows: Sequence[Comparison], asked: Asked, span: float, names: float = LEFT / PLOT
) -> None:
    """Draw the rows of a task, the first arm on top; `names` is the width of the names ÷ that of the drawing."""
    narrow = names != LEFT / PLOT
    axes.set(xlim=(-span, span), ylim=(len(rows) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=INK, lw=1.1, zorder=1)
    axes.tick_params(axis="y", length=0, pad=9)
    axes.spines["left"].set_visible(False)
    axes.set_yticks(range(len(rows)), [short(c.arm, 14 if narrow else 24) for c in rows])
    beside = axes.get_yaxis_transform()
    at = {"transform": beside, "va": "center"}
    axes.text(
        -names + 0.01,
        ABOVE_ROWS,
        short(asked.title, 32 if narrow else 48),
        fontweight="bold",
        fontsize=10.5,
        **at,
    )
    axes.text(1.0, ABOVE_ROWS, metric_of(asked), ha="right", color=SOFT, fontsize=8.5, **at)
    unit = unit_of(asked)
    if not any(isfinite(c.effect.estimate) for c in rows):
        axes.set_xticks([])
    if narrow:
        axes.locator_params(axis="x", nbins=5)
        axes.set_xlabel(f"← single   {short(unit, 14)}   joint →", fontsize=8.5)
    else:
        axes.set_xlabel(
            f"← single better     difference in {short(unit, 24)}     joint better →", fontsize=8.5
        )
    for k, c in enumerate(rows):
        draw_row(axes, k, c, span)


def put(axes: Any, height: float, numbers: str, words: str, **look: Any) -> None:
    """Write the text of one row into the two columns right of the drawing."""
    beside = axes.get_yaxis_transform()
    ink = look["color"] if height == ABOVE_ROWS else INK
    axes.text(1 + 0.12 / PLOT, height, numbers, transform=beside, va="center", fontsize=8.5, color=ink)
    axes.text(1 + EFFECT / PLOT, height, words, transform=beside, va="center", fontsize=8.5, **look)


def draw_row(axes: Any, k: int, c: Comparison, span: float) -> None:
    """Draw the two intervals (band and line) and the dot of one comparison."""
    ink, v = INKS[c.verdict.word], c.verdict
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


def written(c: Comparison, asked: Asked) -> tuple[str, str]:
    """Format the text beside a row: the effect with its interval, and the verdict."""
    v = c.verdict
    if not isfinite(c.effect.estimate):
        return "", "not defined"
    numbers = change(c.effect.estimate, asked)
    if isfinite(v.low):
        numbers += f" [{amount(v.low, asked)}, {amount(v.high, asked)}]"
    beside = f" (would have shown ≥ {amount(v.detectable, asked)})" if isfinite(v.detectable) else ""
    return numbers, f"{v.word}{beside}"


def spoken(rows: Sequence[Comparison], asked: Asked) -> str:
    """Describe the drawing in words for readers who cannot see it."""
    told = "; ".join(f"{c.arm} {' '.join(written(c, asked))}" for c in rows)
    return f"Effect of joint arms against single networks on {asked.title}: {told}"
