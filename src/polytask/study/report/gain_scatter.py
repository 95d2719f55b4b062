"""Gain against cost: the mean effect of an arm over tasks, and its training cost relative to single networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, log10
from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

from polytask.report.drawing import (
    COLOR_PALETTE,
    FAINT_INK,
    INK,
    Picture,
    create_figure,
    encode_svg,
    pick_palette_color,
    use_report_style,
)
from polytask.study.arms import BASELINE
from polytask.study.conclusions.arm_comparison import ArmComparison
from polytask.study.conclusions.arm_costs import compare_training_costs
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.effect_text import POINTS_UNIT, join_with_and, shorten_name

ARM_MARKERS = ("o", "^", "D")
COST_AXIS_TICKS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True)
class ArmGain:
    """Gain and cost of one arm.

    Args:
        price: cost of training ÷ that of the single networks together. what: `compute` or `training time`.
        mean: mean effect over the tasks, in points. tasks: task → its effect.
        interval: plain 95 % interval, when there is only one task.
    """

    arm: str
    price: float
    what: str
    mean: float
    tasks: Mapping[str, float]
    interval: tuple[float, float] | None


def collect_arm_gains(conclusions: Conclusions) -> tuple[list[ArmGain], list[str], list[str]]:
    """Return the arms to draw, the tasks they are averaged over, and what is left out with the reason.

    All arms are averaged over the same tasks: those in points whose effect is defined for every arm that has any
    effect.
    """
    effects: dict[str, dict[str, ArmComparison]] = {}
    for c in conclusions.comparisons:
        effects.setdefault(c.arm, {})[c.task] = c
    points = [t for t, a in conclusions.asked.items() if a.unit == POINTS_UNIT]
    left_out = [
        f"{a.title} (in {a.unit or 'its own unit'})"
        for t, a in conclusions.asked.items()
        if a.unit != POINTS_UNIT
    ]
    known = {a: {t for t in points if _has_effect(e.get(t))} for a, e in effects.items()}
    left_out += [
        f"{a} (no effect is defined)" for a, defined_tasks in known.items() if points and not defined_tasks
    ]
    # An arm without any effect must not shrink the tasks of all other arms.
    known = {a: defined_tasks for a, defined_tasks in known.items() if defined_tasks}
    counted = [t for t in points if all(t in defined_tasks for defined_tasks in known.values())]
    for task in points:
        if task not in counted and known:
            lacking_arms = [a for a, defined_tasks in known.items() if task not in defined_tasks]
            left_out.append(
                f"{conclusions.asked[task].title} (not defined for {join_with_and(lacking_arms)})"
            )
    gains = []
    cost_scale, costs = compare_training_costs(conclusions.prices, known)
    for arm in known if counted else ():
        if cost_scale == "seconds" or not costs.get(arm, 0) > 0:
            left_out.append(f"{arm} (its training cost relative to single networks is not known)")
            continue
        own = {t: effects[arm][t].effect.estimate for t in counted}
        # A mean over several tasks gets no interval: their effects share subjects and are not independent.
        only = effects[arm][counted[0]].effect.interval() if len(counted) == 1 else None
        interval = only if only and isfinite(only[0]) else None
        gains.append(ArmGain(arm, costs[arm], cost_scale, sum(own.values()) / len(own), own, interval))
    return gains, counted, left_out


def _has_effect(c: ArmComparison | None) -> bool:
    return c is not None and isfinite(c.effect.estimate)


def make_gain_picture(conclusions: Conclusions) -> tuple[Picture | None, str]:
    """Draw the scatter plot and say what is left out of it; None when nothing can be drawn."""
    gains, counted, left_out = collect_arm_gains(conclusions)
    counted = [conclusions.asked[task].title for task in counted]
    left_out_note = f"Left out: {'; '.join(left_out)}." if left_out else ""
    if not gains:
        return None, left_out_note
    with use_report_style():
        drawn, narrow = create_figure(8.4, 3.9), create_figure(4.1, 4.1)
        for figure in (drawn, narrow):
            draw_gain_scatter(figure.subplots(), gains)
        if len(counted) == 1:
            averaging_note = (
                f"Effect on {counted[0]}, the only task measured in points; lines are plain 95 % intervals."
            )
        else:
            averaging_note = (
                f"Large dots: mean effect over {join_with_and(counted)}; small dots: each of these tasks. The "
                "mean has no interval here, because the tasks’ effects are not independent; the interval of each task "
                "is above."
            )
        arm_texts = ", ".join(f"{g.arm}: {g.price:.2f} × the {g.what}, {g.mean:+.1f} points" for g in gains)
        note = f"Upper left is better: more gain for less training. {averaging_note}"
        return Picture(
            encode_svg(drawn),
            f"Mean effect against training cost. {arm_texts}",
            note,
            narrow=encode_svg(narrow),
        ), left_out_note


def draw_gain_scatter(axes: Any, gains: list[ArmGain]) -> None:
    """Draw the points on a logarithmic axis; the names stand in a column to the right and never overlap."""
    heights = [v for g in gains for v in (g.mean, *(g.interval or ()), *_list_task_gains(g))] + [0.0]
    low, high = min(heights), max(heights)
    gap = 0.12 * (high - low) or 1.0
    bottom, top = low - gap, high + gap
    left = min([g.price for g in gains] + [1.0]) / 1.25
    right = max([g.price for g in gains] + [1.0]) * 1.25
    axes.set(xscale="log", xlim=(left, right), ylim=(bottom, top))
    axes.xaxis.set_major_locator(FixedLocator([t for t in COST_AXIS_TICKS if left <= t <= right]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g} ×"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"{gains[0].what}, single networks together = 1")
    axes.set_ylabel("effect against single, points")
    axes.axhline(0, color=FAINT_INK, lw=1.2, ls="--", zorder=1)
    axes.axvline(1, color=FAINT_INK, lw=1.2, ls="--", zorder=1)
    axes.plot(1, 0, "s", color=INK, ms=7, zorder=4)
    named = [(1.0, 0.0, BASELINE, INK, "s")]
    for k, g in enumerate(gains):
        ink, mark, own = (
            pick_palette_color(k),
            ARM_MARKERS[(k // len(COLOR_PALETTE)) % len(ARM_MARKERS)],
            _list_task_gains(g),
        )
        if g.interval:
            axes.plot([g.price] * 2, g.interval, color=ink, lw=1.5, zorder=2)
        axes.plot([g.price] * len(own), own, mark, color=ink, ms=3.5, alpha=0.55, mew=0, zorder=2)
        axes.plot(g.price, g.mean, mark, color=ink, ms=8, zorder=5)
        named.append((g.price, g.mean, g.arm, ink, mark))
    named.sort(key=lambda p: p[1])
    label_heights = space_out_heights([p[1] for p in named], 0.075 * (top - bottom), bottom, top)
    for (x, y, name, ink, mark), label_height in zip(named, label_heights, strict=True):
        across = (log10(x) - log10(left)) / (log10(right) - log10(left))
        up = (label_height - bottom) / (top - bottom)
        lead = [[across, 1.03], [(y - bottom) / (top - bottom), up]]
        axes.plot(*lead, color=FAINT_INK, lw=0.7, transform=axes.transAxes, clip_on=False, zorder=1)
        axes.plot(1.04, up, mark, color=ink, ms=6, transform=axes.transAxes, clip_on=False)
        axes.text(1.06, up, shorten_name(name), va="center", transform=axes.transAxes)


def _list_task_gains(g: ArmGain) -> list[float]:
    return list(g.tasks.values()) if len(g.tasks) > 1 else []


def space_out_heights(heights: list[float], gap: float, low: float, high: float) -> list[float]:
    """Move rising heights so that they are at least `gap` apart, and inside the limits if they fit there."""
    places: list[float] = []
    for y in heights:
        places.append(max(y, places[-1] + gap) if places else max(y, low))
    # First pass upward, second pass downward from the top; the second one undoes what went beyond the limit.
    over = max(0.0, places[-1] - high) if places else 0.0
    limit = float("inf")
    for k in range(len(places) - 1, -1, -1):
        places[k] = min(places[k], (high if over else limit), limit)
        limit = places[k] - gap
    return places
