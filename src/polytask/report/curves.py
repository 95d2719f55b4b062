"""How the training went: losses by task, skill on tune, and the skill that came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from polytask.evaluation.costs import Entry, epochs
from polytask.evaluation.result import Evaluation
from polytask.report.drawing import FAINT, INK, Picture, colour, figure, nothing, styled, svg
from polytask.report.material import Material
from polytask.tasks.task import Task

NAN = float("nan")
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1}
Log = Mapping[str, Sequence[Entry]]


def pictures(material: Material) -> list[Picture]:
    """Losses and skill on tune; one more with the skill of each task on the part."""
    with styled():
        drawn = figure(10, 3.2)
        left, right = drawn.subplots(1, 2)
        draw_losses(left, material.log, list(material.tasks))
        draw_skills(right, material.log, material.tasks)
        curves = Picture(
            svg(drawn),
            "Loss of each task and skill on the tune part over training steps",
            "Losses are divided by that of the best constant answer: 1 means nothing learnt yet. Skill: chance 0, "
            "perfect 1; the best checkpoint has the highest mean skill on tune.",
            wide=True,
        )
        evaluations = [material.evaluation, *material.others]
        tasks = len(material.tasks) + 1
        drawn = figure(10, 0.7 + 0.2 * tasks * max(1.6, len(evaluations)))
        draw_forest(drawn.subplots(), evaluations)
        forest = Picture(
            svg(drawn),
            "Skill of each task with its 95 % interval",
            "Skill: Dice, 2·AUC − 1, 2·C − 1, κ, R², 1 − MAE / MAE of a constant. Lines are 95 % intervals.",
            wide=True,
        )
    return [forest, curves] if any(material.log.values()) or not material.evaluation.external else [forest]


def draw_losses(axes: Any, log: Log, tasks: Sequence[str]) -> None:
    """Mean loss of each task by epoch."""
    axes.set(title="Training losses", xlabel="step", ylabel="loss (constant answer = 1)")
    drawn = False
    for k, task in enumerate(tasks):
        points = [(e["step"], e["loss"][task]) for es in log.values() for e in epochs(es) if _there(e, task)]
        if points:
            axes.plot(
                *zip(*points, strict=True),
                marker=_dot(points),
                ms=4,
                color=colour(k),
                label=task,
                ls=_dash(k),
                lw=1.3,
            )
            drawn = True
    if not drawn:
        nothing(axes, "nothing was logged")
        return
    axes.axhline(1, color=FAINT, lw=1, ls="--", zorder=1)
    axes.set_ylim(bottom=0)
    if axes.get_ylim()[1] > 3:
        axes.set_ylim(0, 3)
    _legend(axes)


def draw_skills(axes: Any, log: Log, tasks: Mapping[str, Task]) -> None:
    """Skill of each task on tune, and their mean for a joint model."""
    axes.set(title="Skill on tune", xlabel="step", ylabel="skill")
    drawn = False
    for name, entries in log.items():
        looked = [e for e in epochs(entries) if isinstance(e.get("tune"), Mapping)]
        for k, (task, of) in enumerate(tasks.items()):
            points = [(e["step"], _skill(of, e["tune"][task])) for e in looked if task in e["tune"]]
            if any(np.isfinite(v) for _, v in points):
                label = task if name else None
                axes.plot(
                    *zip(*points, strict=True),
                    marker=_dot(points),
                    ms=4,
                    color=colour(k),
                    lw=1.3 if name else 0.8,
                    label=label,
                    ls=_dash(k),
                )
                drawn = True
        if looked and not name:
            points = [(e["step"], _number(e["tune"].get("skill"))) for e in looked]
            axes.plot(*zip(*points, strict=True), color=INK, lw=2.4, label="mean")
            best = max(points, key=lambda p: -np.inf if np.isnan(p[1]) else p[1])
            axes.plot(*best, "o", color=INK, ms=6)
            axes.annotate(
                f"best {best[1]:.2f}", best, xytext=(0, 7), textcoords="offset points", ha="center", bbox=BOX
            )
            drawn = True
    if not drawn:
        nothing(axes, "not evaluated on tune")
        return
    low, _ = axes.get_ylim()
    axes.set_ylim(max(low, -0.5), 1.05)
    axes.axhline(0, color=FAINT, lw=1, ls="--", zorder=1)
    if "" not in log:
        _legend(axes)


def draw_forest(axes: Any, evaluations: Sequence[Evaluation]) -> None:
    """Skill of each task with its interval, one row a task, one mark a run; the mean below."""
    tasks = list(evaluations[0].tasks)
    rows = [*tasks, "mean"]
    for j, evaluation in enumerate(evaluations):
        shift = 0.22 * (j - (len(evaluations) - 1) / 2)
        for k, row in enumerate(rows):
            e = evaluation.mean_skill if row == "mean" else evaluation.skill.get(row)
            if e is None or not np.isfinite(e.estimate):
                if j == 0:
                    axes.text(0.01, k + shift, "not defined", va="center", fontsize=8, color="#6b7780")
                continue
            ink = colour(j) if len(evaluations) > 1 or row != "mean" else INK
            if np.isfinite(e.low):
                axes.plot(
                    [max(e.low, -0.5), e.high], [k + shift] * 2, color=ink, lw=2.2, solid_capstyle="round"
                )
            size = 7 if row == "mean" else 5.5
            label = f"{evaluation.run}" if k == 0 else None
            axes.plot(max(e.estimate, -0.5), k + shift, "o", color=ink, ms=size, label=label)
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="skill (chance 0, perfect 1)", xlim=(-0.52, 1.02), ylim=(len(rows) - 0.4, -0.6))
    axes.axvline(0, color=FAINT, lw=1.2, ls="--", zorder=1)
    axes.axhline(len(rows) - 1.5, color=FAINT, lw=0.8)
    axes.grid(visible=False, axis="y")
    if len(evaluations) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))


def _legend(axes: Any) -> None:
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.6)


def _dash(k: int) -> str:
    """After seven tasks the colours repeat, dashed."""
    return "-" if k < 7 else "--"


def _dot(points: Sequence[tuple[int, float]]) -> str:
    """A mark where there is no line to see."""
    return "o" if len(points) == 1 else ""


def _there(entry: Entry, task: str) -> bool:
    return isinstance(entry["loss"].get(task), int | float)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else NAN


def _skill(task: Task, metrics: Mapping[str, Any]) -> float:
    return task.skill({k: _number(v) for k, v in metrics.items()})
