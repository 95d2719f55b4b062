"""The course of training: the loss of each task by arm, and the skill on tune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from polytask.array_types import Floats
from polytask.evaluation.run_costs import RunLogEntry, list_epoch_entries, read_network_logs
from polytask.report.drawing import (
    FAINT_INK,
    Picture,
    create_figure,
    draw_empty_panel,
    encode_svg,
    pick_palette_color,
    use_report_style,
)
from polytask.report.training_plots import read_task_losses
from polytask.study.conclusions.draw_conclusions import Conclusions
from polytask.study.report.effect_text import shorten_name

StepCurve = list[tuple[float, float]]
"""Pairs of (step, value) in the order of the steps."""
PANELS_PER_ROW = 3
MAX_ARMS_WITH_BANDS = 4
"""Bands are drawn for at most this many arms; more of them would hide each other."""
MAX_MARKED_POINTS = 5
"""Curves with at most this many points get a marker at each point."""
ARM_DASHES = ("-", "--", ":", "-.")
SKILL_PANEL = ""
"""Key of the panel for the mean skill on tune, which belongs to no task."""


def make_curves_picture(conclusions: Conclusions) -> Picture | None:
    """Draw one panel per task and one for the skill on tune; None when nothing was logged."""
    lines = collect_arm_curves(conclusions)
    tasks = [t for t in conclusions.asked if any(t in by for by in lines.values())]
    if not tasks:
        return None
    arms = [a for a in conclusions.gathered.arms if a in lines]
    panels, titles = [*tasks, SKILL_PANEL], {t: task_info.title for t, task_info in conclusions.asked.items()}
    with use_report_style():
        # Drawn twice: the page shows the second figure on a narrow screen.
        drawn, narrow = (
            draw_curve_panels(lines, arms, panels, titles, across) for across in (PANELS_PER_ROW, 1)
        )
        several = any(len(runs) > 1 for by in lines.values() for runs in by.values())
        band = (
            "Bands: from the lowest run to the highest. "
            if several and len(arms) <= MAX_ARMS_WITH_BANDS
            else ""
        )
        means = f"Means over the runs of an arm. {band}" if several else "One run per arm. "
        note = (
            f"{means}A loss of 1 is that of the best constant answer; losses are those of training, before weighting. "
            "Skill: chance 0, perfect 1; it chooses the best checkpoint, by the same rule in every arm. For single "
            "networks it is the mean over the networks."
        )
        return Picture(
            encode_svg(drawn),
            "Losses and skill on tune over the steps of training, by arm",
            note,
            wide=True,
            narrow=encode_svg(narrow),
        )


def draw_curve_panels(
    lines: Mapping[str, Mapping[str, list[StepCurve]]],
    arms: Sequence[str],
    panels: Sequence[str],
    titles: Mapping[str, str],
    columns: int,
) -> Any:
    """Draw a figure with one panel per task, `columns` of them in a row, and one legend above."""
    rows = ceil(len(panels) / columns)
    legend_columns = 5 if columns > 1 else 2
    drawn = create_figure(
        10.3 if columns > 1 else 3.9, 2.5 * rows + 0.35 * ceil(len(arms) / legend_columns) + 0.1
    )
    drawn.set_layout_engine("constrained", h_pad=0.09, w_pad=0.08)
    grid = drawn.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        title = (
            "skill on tune, mean of tasks"
            if panel == SKILL_PANEL
            else f"loss of {shorten_name(titles[panel])}"
        )
        for k, arm in enumerate(arms):
            draw_arm_curve(axes, lines[arm].get(panel, []), k, arm, len(arms) <= MAX_ARMS_WITH_BANDS)
        finish_curve_panel(axes, panel, title)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    handles: dict[str, Any] = {}
    for axes in grid[: len(panels)]:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    if handles:
        drawn.legend(
            handles.values(),
            handles.keys(),
            loc="outside upper left",
            ncols=min(legend_columns, len(handles)),
        )
    return drawn


def collect_arm_curves(conclusions: Conclusions) -> dict[str, dict[str, list[StepCurve]]]:
    """Return arm → panel (a task, or the skill on tune) → one curve per run."""
    lines: dict[str, dict[str, list[StepCurve]]] = {}
    for arm in conclusions.gathered.arms:
        for finished in conclusions.gathered.of_arm(arm):
            network_logs = read_network_logs(finished.run.folder)
            epoch_entries = {name: list_epoch_entries(entries) for name, entries in network_logs.items()}
            for task in conclusions.asked:
                points = read_loss_curve(network_logs, task)
                if points:
                    lines.setdefault(arm, {}).setdefault(task, []).append(points)
            skills = [points for entries in epoch_entries.values() if (points := read_skill_curve(entries))]
            if skills:
                # Single networks have one skill each; their mean stands for the run, as everywhere in a study.
                lines.setdefault(arm, {}).setdefault(SKILL_PANEL, []).append(average_curves(skills))
    return lines


def read_loss_curve(log: Mapping[str, Sequence[RunLogEntry]], task: str) -> StepCurve:
    """Read the loss of a task from the network that has it: by epoch, or by single steps in a short run."""
    return [
        (float(step), float(value)) for step, value in read_task_losses(log, task) if _is_finite_number(value)
    ]


def read_skill_curve(entries: Sequence[RunLogEntry]) -> StepCurve:
    """Read the mean skill on tune of one network at each evaluation."""
    tune_skills = [
        (float(e["step"]), e["tune"].get("skill")) for e in entries if isinstance(e.get("tune"), Mapping)
    ]
    return [(step, float(v)) for step, v in tune_skills if _is_finite_number(v)]


def _is_finite_number(value: Any) -> bool:
    # A log may hold null, text or NaN after a crash; only finite numbers can be drawn.
    return isinstance(value, int | float) and bool(np.isfinite(value))


def average_curves(lines: Sequence[StepCurve]) -> StepCurve:
    """Average curves over the range of steps that all of them cover."""
    grid, values = align_curves(lines)
    return list(zip(grid.tolist(), values.mean(0).tolist(), strict=True))


def align_curves(lines: Sequence[StepCurve]) -> tuple[Floats, Floats]:
    """Put curves on common steps: all steps between the latest start and the earliest end.

    Returns the steps `[steps]` and the interpolated curves `[curves, steps]`.
    """
    every = np.unique([step for line in lines for step, _ in line])
    low, high = max(line[0][0] for line in lines), min(line[-1][0] for line in lines)
    grid = every[(every >= low) & (every <= high)]
    # Curves that do not overlap have no common step; one point keeps the arrays valid.
    if not grid.size:
        grid = np.array([low])
    return grid, np.stack([np.interp(grid, *np.array(line, np.float64).T) for line in lines])


def draw_arm_curve(axes: Any, lines: Sequence[StepCurve], k: int, arm: str, band: bool) -> None:
    """Draw the mean curve of an arm, and a band from its lowest to its highest run."""
    if not lines:
        return
    grid, values = align_curves(lines)
    if len(grid) < 2:
        return
    ink, dash = pick_palette_color(k), ARM_DASHES[(k // 7) % len(ARM_DASHES)]
    mark = "o" if len(grid) <= MAX_MARKED_POINTS else ""
    if band and len(lines) > 1:
        axes.fill_between(grid, values.min(0), values.max(0), color=ink, alpha=0.15, lw=0)
    axes.plot(grid, values.mean(0), color=ink, ls=dash, marker=mark, ms=4, label=shorten_name(arm))


def finish_curve_panel(axes: Any, panel: str, title: str) -> None:
    """Set title, labels and axis limits, so that one extreme value does not hide the rest."""
    if not axes.lines:
        draw_empty_panel(axes, f"{title}:\nno curve, fewer than two\nvalues were logged")
        return
    axes.set(title=title, xlabel="step")
    low, high = axes.get_ylim()
    if panel == SKILL_PANEL:
        axes.set_ylim(max(low, -0.5), min(1.02, high))
        axes.axhline(0, color=FAINT_INK, lw=1, ls="--", zorder=1)
    else:
        axes.set_ylim(0, min(3.0, max(1.15, high)))
        axes.axhline(1, color=FAINT_INK, lw=1, ls="--", zorder=1)
