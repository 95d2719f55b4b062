"""One summary picture of a run: skill, training curves, masks, and one panel for each form of answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from polytask.kinds import find_answer_form
from polytask.report import class_plots, number_plots, overlay_plots, survival_plots, training_plots
from polytask.report.drawing import create_figure, use_report_style
from polytask.report.report_material import ReportMaterial, gather_report_material
from polytask.report.voxel_cases import choose_shown_cases, read_voxel_case

MAX_ANSWER_PANELS = 4
"""Largest number of panels in the last row."""
PANEL_ORDER = ("class", "time", "grade", "number", "labels")
DrawPanel = Callable[[Any], None]


def make_picture(run: Path | str, out: Path | str, dots: int = 120) -> Path:
    """Draw the summary picture of an evaluated run and save it as PNG."""
    return save_picture(gather_report_material(Path(run)), Path(out), dots)


def save_picture(material: ReportMaterial, path: Path, dots: int = 120) -> Path:
    """Draw the summary picture of the gathered material and save it as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with use_report_style():
        draw_summary_figure(material).savefig(path, format="png", dpi=dots)
    return path


def draw_summary_figure(material: ReportMaterial) -> Any:
    """Draw the summary figure; the caller draws and saves it inside `use_report_style`."""
    name = next(
        (
            n
            for n, t in material.tasks.items()
            if find_answer_form(t.kind) == "masks" and choose_shown_cases(material, n)
        ),
        None,
    )
    drawn = create_figure(14, 11.2 if name else 7.4)
    parts: Any = drawn.subfigures(3 if name else 2, 1, height_ratios=(3.6, 3.8, 3.8) if name else (1, 1))
    evaluation = material.evaluation
    subjects = f"{len(evaluation.subjects)} {evaluation.part.replace('_', '-')} subjects"
    title = f"{material.cohort.header.name}, {evaluation.run}: {subjects}"
    drawn.suptitle(f"{title} · research use only, not a medical device", fontsize=11, x=0.01, ha="left")
    left, middle, right = parts[0].subplots(1, 3, width_ratios=(1.25, 1, 1))
    titles = material.names.tasks
    training_plots.draw_skill_forest(left, [evaluation], titles)
    left.set_title("Skill with 95 % intervals")
    training_plots.draw_losses(middle, material.log, list(material.tasks), titles)
    training_plots.draw_skills(right, material.log, material.tasks, titles)
    if name:
        draw_overlays(parts[1], material, name)
    panels = list_answer_panels(material)[:MAX_ANSWER_PANELS]
    for axes, panel in zip(
        parts[-1].subplots(1, max(1, len(panels)), squeeze=False)[0], panels, strict=False
    ):
        panel(axes)
    return drawn


def draw_overlays(part: Any, material: ReportMaterial, name: str) -> None:
    """Draw three slices: the planes of the median case, or in 2D the best, median and worst case."""
    shown = choose_shown_cases(material, name)
    voxel_cases = [read_voxel_case(material, name, s.who) for s in shown]
    structures = list(getattr(material.tasks[name], "structures", ()))
    axes = part.subplots(1, 3)
    if voxel_cases[0].grid.dims == 3:
        middle = len(voxel_cases) // 2
        overlay_plots.draw_case(axes, voxel_cases[middle], structures)
        axes[0].set_title(
            overlay_plots.write_case_heading(shown[middle], material.tasks[name].primary), fontsize=9
        )
    else:
        for panel, case, voxel_case in zip(axes, shown, voxel_cases, strict=False):
            overlay_plots.draw_case([panel], voxel_case, structures)
            panel.set_title(overlay_plots.write_case_heading(case, material.tasks[name].primary), fontsize=9)
        for panel in axes[len(voxel_cases) :]:
            panel.set_axis_off()
    overlay_plots.draw_overlay_legend(part, material.names.all_words(name, structures))


def list_answer_panels(material: ReportMaterial) -> list[DrawPanel]:
    """List a panel for the first task of each form of answer, in the order of `PANEL_ORDER`."""
    first: dict[str, str] = {}
    for name, task in material.tasks.items():
        first.setdefault(find_answer_form(task.kind), name)
    return [
        _make_answer_panel(first[k], material.tasks[first[k]], material) for k in PANEL_ORDER if k in first
    ]


def _make_answer_panel(name: str, task: Any, material: ReportMaterial) -> DrawPanel:
    items = material.answers.pooled[name]

    def panel(axes: Any) -> None:
        if find_answer_form(task.kind) == "time":
            cutoffs = material.evaluation.groups.get(name, {}).get("cutoffs", ())
            survival_plots.draw_survival(axes, survival_plots.group_items_by_risk(items, cutoffs), task.unit)
        elif find_answer_form(task.kind) == "number":
            number_plots.draw_scatter(axes, *number_plots.select_known_values(items), task.unit)
        elif find_answer_form(task.kind) == "grade":
            class_plots.draw_confusion(
                axes, material.names.all_words(name, task.classes), class_plots.count_confusion(task, items)
            )
        else:
            asked = class_plots.list_binary_questions(task, items)
            class_plots.draw_roc(
                axes, [q._replace(name=class_plots.title_question(material, name, q.name)) for q in asked]
            )
        axes.set_title(f"{material.names.task(name)}: {axes.get_title(loc='left')}")

    return panel
