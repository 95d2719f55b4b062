"""The section "For whom": how each site and subgroup differs from everybody else, drawn and in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from polytask.evaluation.evaluation_result import Estimate, SubgroupResult
from polytask.evaluation.subgroup_results import explain_comparisons, find_worst_group
from polytask.report.drawing import (
    BLUE,
    FAINT_INK,
    RED,
    Picture,
    create_figure,
    encode_svg,
    use_report_style,
    wrap_label,
)
from polytask.report.metric_tables import (
    ReportTable,
    TableCell,
    build_estimate_cell,
    format_metric_title,
    format_signed_number,
)
from polytask.report.report_material import ReportMaterial

FOREST_INCHES = 5.0
ROW_INCHES, PANEL_INCHES = 0.22, 0.62


class SubgroupSection(NamedTuple):
    """The section: a sentence for each task, the picture, the tables, and what the numbers mean."""

    sentences: list[str]
    pictures: list[Picture]
    tables: list[ReportTable]
    note: str


def build_subgroup_section(material: ReportMaterial) -> SubgroupSection | None:
    """Build the section; None where there are no two groups of anything."""
    results = material.evaluation.subgroups
    if not results:
        return None
    tables = [
        table
        for column in results
        for table in (_build_difference_table(material, column), _build_calibration_table(material, column))
        if table is not None
    ]
    note = (
        "Difference: the group minus all others with a known group, not paired; a cell without a number has too few "
        f"subjects. {explain_comparisons(results)} Groups also differ in case mix: a difference alone does not say "
        "that the model is the cause. Calibration error: expected error of the raw probabilities over all classes."
    )
    sentences = [s for name in material.tasks if (s := describe_worst_group(material, name))]
    return SubgroupSection(sentences, [make_subgroup_forest(material)], tables, note)


def describe_worst_group(material: ReportMaterial, name: str) -> str:
    """Name the group in which a task is furthest behind the others; "" where no group is large enough."""
    task = material.evaluation.tasks[name]
    worst = find_worst_group(material.evaluation.subgroups, name, bool(task["higher"]))
    if worst is None:
        return ""
    metric = format_metric_title(str(task["primary"]), task)
    low, high = (format_signed_number(x) for x in worst.difference[1:3])
    size = f"{metric} {format_signed_number(worst.difference.estimate)} ({low} to {high}) against the others"
    clear = "" if worst.clear else "; the interval includes 0"
    which = f"worst of {worst.compared} groups is {worst.column} {worst.group}"
    return f"{material.names.task(name)}: {which}, {size}{clear}."


def make_subgroup_forest(material: ReportMaterial) -> Picture:
    """Draw the difference of every group from the others with its interval, a panel for each task."""
    results, tasks = material.evaluation.subgroups, list(material.evaluation.tasks)
    groups = [(column, group) for column, own in results.items() for group in own]
    with use_report_style():
        drawn = create_figure(FOREST_INCHES, len(tasks) * (PANEL_INCHES + ROW_INCHES * len(groups)))
        panels = drawn.subplots(len(tasks), 1, squeeze=False)[:, 0]
        for axes, name in zip(panels, tasks, strict=True):
            draw_group_differences(axes, [(c, g, results[c][g][name]) for c, g in groups])
            task = material.evaluation.tasks[name]
            title = wrap_label(material.names.task(name), 50)
            axes.set(title=f"{title}: {format_metric_title(str(task['primary']), task)}")
        panels[-1].set_xlabel("difference from all others")
        note = (
            "Primary metric of each group minus that of all others, with 95 % intervals. Red: the interval excludes 0. "
            "An empty row has too few subjects."
        )
        return Picture(encode_svg(drawn), "Differences of the groups", note, width=FOREST_INCHES)


def draw_group_differences(axes: Any, rows: list[tuple[str, str, SubgroupResult]]) -> None:
    """Draw a row for each group: its difference as a point, and the interval as a line."""
    axes.axvline(0, color=FAINT_INK, lw=1.2, zorder=1)
    for y, (_, _, result) in enumerate(rows):
        e = result.difference
        if isfinite(e.low):
            color = RED if e.low > 0 or e.high < 0 else BLUE
            axes.plot([e.low, e.high], [y, y], color=color, lw=1.6, zorder=2)
            axes.plot([e.estimate], [y], "o", color=color, ms=4, zorder=3)
    labels = [f"{column} {group} (n {result.primary.n})" for column, group, result in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


def _build_difference_table(material: ReportMaterial, column: str) -> ReportTable:
    groups, rows = material.evaluation.subgroups[column], []
    for name, task in material.evaluation.tasks.items():
        cells = [make_group_cell(own[name].primary, own[name].difference) for own in groups.values()]
        title = f"{material.names.task(name)}: {format_metric_title(str(task['primary']), task)}"
        rows.append((title, cells))
    return ReportTable(f"by {column}: difference from all others", ["task", *_head_groups(groups)], rows)


def _build_calibration_table(material: ReportMaterial, column: str) -> ReportTable | None:
    groups, rows = material.evaluation.subgroups[column], []
    for name in material.evaluation.tasks:
        if any(isfinite(own[name].calibration.estimate) for own in groups.values()):
            cells = [
                make_group_cell(own[name].calibration, own[name].calibration_difference)
                for own in groups.values()
            ]
            rows.append((material.names.task(name), cells))
    heads = _head_groups(groups)
    return (
        ReportTable(f"by {column}: difference of the calibration error", ["task", *heads], rows)
        if rows
        else None
    )


def make_group_cell(own: Estimate, difference: Estimate) -> TableCell:
    """Make the cell of a group: its difference from the others, or why it has none."""
    if isfinite(difference.low):
        return build_estimate_cell(difference, difference=True)._replace(n=f"n {own.n}")
    why = difference.reason or own.reason or "not defined in one of the two"
    return TableCell("–", why=f"{why.removeprefix('too few: ')} (n {own.n} here)")


def _head_groups(groups: Mapping[str, Mapping[str, SubgroupResult]]) -> list[str]:
    return [f"{group} ({next(iter(own.values())).subjects} subjects)" for group, own in groups.items()]
