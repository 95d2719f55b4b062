"""Pictures of the training: losses by task, skill on tune, and the final skill with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polytask.array_types import NAN
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.run_costs import RunLogEntry, list_epoch_entries
from polytask.report.drawing import (
    FAINT_INK,
    INK,
    Picture,
    create_figure,
    draw_empty_panel,
    encode_svg,
    pick_palette_color,
    use_report_style,
    wrap_label,
)
from polytask.report.report_material import ReportMaterial
from polytask.tasks.task import Task

MIN_EPOCHS_FOR_MEANS = 3
"""The losses of single steps are drawn when there are fewer epochs than this."""
CURVE_PICTURE_INCHES = 5.0
"""Width of a picture on the page, in inches."""
NO_TASK_TITLES: Mapping[str, str] = {}
LogByNetwork = Mapping[str, Sequence[RunLogEntry]]


def make_training_pictures(material: ReportMaterial) -> list[Picture]:
    """Draw losses and skill on tune, if enough values were logged for a curve."""
    pictures, titles = [], material.names.tasks
    tasks = len(material.tasks)
    with use_report_style():
        if has_losses(material.log, list(material.tasks)):
            drawn = create_figure(CURVE_PICTURE_INCHES, 2.9 + 0.1 * tasks)
            draw_losses(drawn.subplots(), material.log, list(material.tasks), titles)
            note = "Divided by the loss of the best constant answer: 1 means nothing learned yet."
            pictures.append(
                Picture(
                    encode_svg(drawn),
                    "Loss of each task over training steps",
                    note,
                    width=CURVE_PICTURE_INCHES,
                )
            )
        if has_skills(material.log):
            drawn = create_figure(CURVE_PICTURE_INCHES, 2.9 + 0.1 * tasks)
            draw_skills(drawn.subplots(), material.log, material.tasks, titles)
            note = (
                "Skill on the tune part: chance 0, perfect 1; the checkpoint with the highest mean is kept."
            )
            pictures.append(
                Picture(
                    encode_svg(drawn),
                    "Skill on the tune part over training steps",
                    note,
                    width=CURVE_PICTURE_INCHES,
                )
            )
    return pictures


def explain_missing_curves(material: ReportMaterial) -> list[str]:
    """Explain in sentences why a curve is missing; nothing for an exported model, which has no log."""
    if material.evaluation.external and not any(material.log.values()):
        return []
    sentences = []
    if not has_losses(material.log, list(material.tasks)):
        sentences.append("No curve of the losses: fewer than two were logged.")
    if not has_skills(material.log):
        skills = [e["tune"].get("skill") for es in material.log.values() for e in _select_tune_entries(es)]
        values = ", ".join(f"{v:.2f}" for v in skills if isinstance(v, int | float))
        once = f"; the mean skill was {values}" if values else ""
        sentences.append(f"No curve of the skill on tune: it was evaluated fewer than two times{once}.")
    return sentences


def make_skill_forest(material: ReportMaterial) -> Picture:
    """Draw the skill of each task with its interval, for this run and the runs it is compared with."""
    evaluations = [material.evaluation, *material.others]
    tasks = len(material.tasks) + 1
    with use_report_style():
        drawn = create_figure(
            CURVE_PICTURE_INCHES,
            0.8 + 0.2 * tasks * max(1.6, len(evaluations)) + 0.2 * (len(evaluations) > 1),
        )
        draw_skill_forest(drawn.subplots(), evaluations, material.names.tasks)
        note = (
            "Skill: Dice, 2·AUC − 1, 2·C − 1, κ, R², 1 − MAE / MAE of a constant. Lines are 95 % intervals."
        )
        return Picture(
            encode_svg(drawn), "Skill of each task with its 95 % interval", note, width=CURVE_PICTURE_INCHES
        )


def read_task_losses(log: LogByNetwork, task: str) -> list[tuple[int, float]]:
    """Read (step, loss) of a task: means of epochs, or single steps where there are fewer than three epochs."""
    for entries in log.values():
        means = [
            (e["step"], e["loss"][task])
            for e in list_epoch_entries(entries)
            if _has_task_loss(e["loss"], task)
        ]
        single = [
            (e["step"], e["losses"][task])
            for e in entries
            if isinstance(e.get("losses"), Mapping) and _has_task_loss(e["losses"], task)
        ]
        # A short run has too few epochs for a curve, but enough steps.
        points = single if len(means) < MIN_EPOCHS_FOR_MEANS and len(single) > len(means) else means
        if points:
            return points
    return []


def has_losses(log: LogByNetwork, tasks: Sequence[str]) -> bool:
    """Whether any task has at least two logged losses, enough for a curve."""
    return any(len(read_task_losses(log, task)) > 1 for task in tasks)


def has_skills(log: LogByNetwork) -> bool:
    """Whether any network was evaluated on tune at least twice, enough for a curve."""
    return any(len(_select_tune_entries(entries)) > 1 for entries in log.values())


def draw_losses(
    axes: Any, log: LogByNetwork, tasks: Sequence[str], titles: Mapping[str, str] = NO_TASK_TITLES
) -> None:
    """Draw the loss of each task over the steps."""
    axes.set(title="Training losses", xlabel="step", ylabel="loss (constant answer = 1)")
    drawn = False
    for k, task in enumerate(tasks):
        points = read_task_losses(log, task)
        if len(points) > 1:
            label = wrap_label(titles.get(task, task), 20)
            axes.plot(
                *zip(*points, strict=True),
                color=pick_palette_color(k),
                label=label,
                ls=_choose_line_style(k),
                lw=1.3,
            )
            drawn = True
    if not drawn:
        draw_empty_panel(axes, "no curve: fewer than two\nlosses were logged")
        return
    axes.axhline(1, color=FAINT_INK, lw=1, ls="--", zorder=1)
    axes.set_ylim(bottom=0)
    # A loss that explodes for a moment would press all other curves to the bottom.
    if axes.get_ylim()[1] > 3:
        axes.set_ylim(0, 3)
    _add_legend_under_curves(axes)


def draw_skills(
    axes: Any, log: LogByNetwork, tasks: Mapping[str, Task], titles: Mapping[str, str] = NO_TASK_TITLES
) -> None:
    """Draw the skill of each task on tune, and the mean over tasks for a joint model."""
    axes.set(title="Skill on tune", xlabel="step", ylabel="skill")
    drawn = False
    for name, entries in log.items():
        tune_entries = _select_tune_entries(entries)
        if len(tune_entries) < 2:
            continue
        for k, task in enumerate(tasks):
            # A network is named after its tasks, joined with "+"; "" is the joint network of all tasks.
            if name and task not in name.split("+"):
                continue
            points = [
                (e["step"], _compute_logged_skill(tasks[task], e["tune"].get(task, {})))
                for e in tune_entries
                if task in e["tune"]
            ]
            if sum(bool(np.isfinite(v)) for _, v in points) > 1:
                label = wrap_label(titles.get(task, task), 20)
                axes.plot(
                    *zip(*points, strict=True),
                    color=pick_palette_color(k),
                    lw=1.3 if name else 0.8,
                    label=label,
                    ls=_choose_line_style(k),
                )
                drawn = True
        if not name:
            points = [(e["step"], _convert_to_float(e["tune"].get("skill"))) for e in tune_entries]
            # Comparisons with NaN are always false, so `max` could return one; as −∞ it is never the best.
            best = max(points, key=lambda p: -np.inf if np.isnan(p[1]) else p[1])
            axes.plot(*zip(*points, strict=True), color=INK, lw=2.4, label="mean of tasks")
            axes.plot(*best, "o", color=INK, ms=6, ls="", label=f"best: {best[1]:.2f}")
            drawn = True
    if not drawn:
        draw_empty_panel(axes, "no curve: fewer than two\nevaluations on tune")
        return
    low, _ = axes.get_ylim()
    axes.set_ylim(max(low, -0.5), 1.05)
    axes.axhline(0, color=FAINT_INK, lw=1, ls="--", zorder=1)
    _add_legend_under_curves(axes)


def draw_skill_forest(
    axes: Any, evaluations: Sequence[Evaluation], titles: Mapping[str, str] = NO_TASK_TITLES
) -> None:
    """Draw the skill with its interval, one row per task and one mark per run; the last row is the mean."""
    tasks = list(evaluations[0].tasks)
    rows, undefined = [*tasks, "mean"], dict[str, list[str]]()
    for j, evaluation in enumerate(evaluations):
        shift = 0.22 * (j - (len(evaluations) - 1) / 2)
        for k, row in enumerate(rows):
            e = evaluation.mean_skill if row == "mean" else evaluation.skill.get(row)
            if e is None or not np.isfinite(e.estimate):
                undefined.setdefault(row, []).append(evaluation.run)
                continue
            ink = pick_palette_color(j) if len(evaluations) > 1 or row != "mean" else INK
            if np.isfinite(e.low):
                axes.plot(
                    [max(e.low, -0.5), e.high], [k + shift] * 2, color=ink, lw=2.2, solid_capstyle="round"
                )
            size = 7 if row == "mean" else 5.5
            label = f"{evaluation.run}" if k == 0 else None
            axes.plot(max(e.estimate, -0.5), k + shift, "o", color=ink, ms=size, label=label)
    lines = [wrap_label(titles.get(r, r), 22) + ("\n(not defined)" if r in undefined else "") for r in rows]
    axes.set_yticks(range(len(rows)), lines)
    axes.set(xlabel="skill (chance 0, perfect 1)", xlim=(-0.52, 1.02), ylim=(len(rows) - 0.4, -0.6))
    axes.axvline(0, color=FAINT_INK, lw=1.2, ls="--", zorder=1)
    axes.axhline(len(rows) - 1.5, color=FAINT_INK, lw=0.8)
    axes.grid(visible=False, axis="y")
    if len(evaluations) > 1:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)


def _add_legend_under_curves(axes: Any) -> None:
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, handlelength=1.6)


def _choose_line_style(k: int) -> str:
    """Return the line style of task `k`: after seven tasks the colors repeat with dashed lines."""
    return "-" if k < 7 else "--"


def _has_task_loss(losses: Mapping[str, Any], task: str) -> bool:
    return isinstance(losses.get(task), int | float)


def _select_tune_entries(entries: Sequence[RunLogEntry]) -> list[RunLogEntry]:
    return [e for e in list_epoch_entries(entries) if isinstance(e.get("tune"), Mapping)]


def _convert_to_float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else NAN


def _compute_logged_skill(task: Task, metrics: Mapping[str, Any]) -> float:
    return task.skill({k: _convert_to_float(v) for k, v in metrics.items()})
