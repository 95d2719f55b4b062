"""One summary picture of a run: skill, training curves, masks, and one panel for each form of answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from polytask.kinds import answer_form
from polytask.report import classes, curves, numbers, overlays, survival
from polytask.report.drawing import figure, styled
from polytask.report.material import Material, gather
from polytask.report.voxels import chosen, look

PANELS = 4
"""Largest number of panels in the last row."""
ORDER = ("class", "time", "grade", "number", "labels")
Panel = Callable[[Any], None]


def make_picture(run: Path | str, out: Path | str, dots: int = 120) -> Path:
    """Draw the summary picture of an evaluated run and save it as PNG."""
    return save(gather(Path(run)), Path(out), dots)


def save(material: Material, path: Path, dots: int = 120) -> Path:
    """Draw the summary picture of the gathered material and save it as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with styled():
        draw(material).savefig(path, format="png", dpi=dots)
    return path


def draw(material: Material) -> Any:
    """Draw the summary figure; the caller draws and saves it inside `use_report_style`."""
    name = next(
        (n for n, t in material.tasks.items() if answer_form(t.kind) == "masks" and chosen(material, n)), None
    )
    drawn = figure(14, 11.2 if name else 7.4)
    parts: Any = drawn.subfigures(3 if name else 2, 1, height_ratios=(3.6, 3.8, 3.8) if name else (1, 1))
    found = material.evaluation
    title = f"{material.cohort.header.name}, {found.run}: {len(found.subjects)} {found.part.replace('_', '-')} subjects"
    drawn.suptitle(f"{title} · research use only, not a medical device", fontsize=11, x=0.01, ha="left")
    left, middle, right = parts[0].subplots(1, 3, width_ratios=(1.25, 1, 1))
    titles = material.names.tasks
    curves.draw_forest(left, [found], titles)
    left.set_title("Skill with 95 % intervals")
    curves.draw_losses(middle, material.log, list(material.tasks), titles)
    curves.draw_skills(right, material.log, material.tasks, titles)
    if name:
        draw_overlays(parts[1], material, name)
    panels = answers(material)[:PANELS]
    for axes, panel in zip(
        parts[-1].subplots(1, max(1, len(panels)), squeeze=False)[0], panels, strict=False
    ):
        panel(axes)
    return drawn


def draw_overlays(part: Any, material: Material, name: str) -> None:
    """Draw three slices: the planes of the median case, or in 2D the best, median and worst case."""
    shown = chosen(material, name)
    seen = [look(material, name, s.who) for s in shown]
    structures = list(getattr(material.tasks[name], "structures", ()))
    axes = part.subplots(1, 3)
    if seen[0].grid.dims == 3:
        middle = len(seen) // 2
        overlays.draw_case(axes, seen[middle], structures)
        axes[0].set_title(overlays.heading(shown[middle], material.tasks[name].primary), fontsize=9)
    else:
        for panel, case, found in zip(axes, shown, seen, strict=False):
            overlays.draw_case([panel], found, structures)
            panel.set_title(overlays.heading(case, material.tasks[name].primary), fontsize=9)
        for panel in axes[len(seen) :]:
            panel.set_axis_off()
    overlays.legend(part, material.names.all_words(name, structures))


def answers(material: Material) -> list[Panel]:
    """List a panel for the first task of each form of answer, in the order of `PANEL_ORDER`."""
    first: dict[str, str] = {}
    for name, task in material.tasks.items():
        first.setdefault(answer_form(task.kind), name)
    return [_panel(first[k], material.tasks[first[k]], material) for k in ORDER if k in first]


def _panel(name: str, task: Any, material: Material) -> Panel:
    items = material.answers.pooled[name]

    def panel(axes: Any) -> None:
        if answer_form(task.kind) == "time":
            cutoffs = material.evaluation.groups.get(name, {}).get("cutoffs", ())
            survival.draw_survival(axes, survival.groups_of(items, cutoffs), task.unit)
        elif answer_form(task.kind) == "number":
            numbers.draw_scatter(axes, *numbers.values_of(items), task.unit)
        elif answer_form(task.kind) == "grade":
            classes.draw_confusion(
                axes, material.names.all_words(name, task.classes), classes.matrix(task, items)
            )
        else:
            asked = classes.questions(task, items)
            classes.draw_roc(axes, [q._replace(name=classes.shown(material, name, q.name)) for q in asked])
        axes.set_title(f"{material.names.task(name)}: {axes.get_title(loc='left')}")

    return panel
