"""Builds the tables of the page: metrics of tasks, classes and sites as rows of text."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from polytask.array_types import NAN
from polytask.evaluation.end_to_end import END_TO_END
from polytask.evaluation.evaluation_result import Estimate
from polytask.kinds import find_answer_form
from polytask.kinds.kind import AnswerForm
from polytask.report.display_names import PLAIN_NAMES, DisplayNames
from polytask.tasks.mask_sizes import name_size_unit

if TYPE_CHECKING:
    from polytask.report.report_material import ReportMaterial

DASH = "–"


METRIC_TITLES = {
    "auc": "AUC",
    "c": "C-index",
    "r2": "R²",
    "d2": "D²",
    "mae": "MAE",
    "rmse": "RMSE",
    "pearson": "Pearson’s r",
    "kappa": "quadratic κ",
    "dice": "Dice",
    "surface_dice": "surface Dice",
    "hd95": "HD95",
    "cldice": "clDice",
    "volume_error": "volume error",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier",
    "dvh": "mean |DVH difference|",
}
"""Name of a metric → its title on the page."""
METRICS_IN_TASK_UNIT = ("mae", "rmse", "dvh")


class TableCell(NamedTuple):
    """A table cell: an estimate as text. When it is not defined, `interval` and `n` are "" and `why` has the reason."""

    value: str
    interval: str = ""
    n: str = ""
    strong: bool = False
    why: str = ""


class ReportTable(NamedTuple):
    """A table with titles of columns and rows of cells; each row begins with its name."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[TableCell]]]


def format_number(value: float) -> str:
    """Format a number: three decimals below 10, one below 1,000, none above; with a true minus sign."""
    if not isfinite(value):
        return DASH
    size = abs(value)
    text = f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:.4g}"
    if 1000 <= size < 1e7:
        text = f"{value:,.0f}".replace(",", "\u202f")  # a narrow blank at which no line breaks
    return text.replace("-", "−")


def format_signed_number(value: float) -> str:
    """Format a difference with its sign."""
    return format_number(value) if value < 0 or not isfinite(value) else f"+{format_number(value)}"


def build_estimate_cell(estimate: Estimate, difference: bool = False, why: str = "") -> TableCell:
    """Build the cell of an estimate with its 95 % interval and n.

    A difference is `strong` (bold) when its interval excludes 0. `why` is shown where the estimate is not defined.
    """
    show = format_signed_number if difference else format_number
    if not isfinite(estimate.estimate):
        return TableCell("not defined", "", "" if why else "n 0", why=why)
    interval = (
        f"{show(estimate.low)} to {show(estimate.high)}"
        if isfinite(estimate.low)
        else word_missing_interval(estimate.reason)
    )
    strong = difference and isfinite(estimate.low) and (estimate.low > 0 or estimate.high < 0)
    return TableCell(show(estimate.estimate), interval, f"n {estimate.n}", strong)


def word_missing_interval(reason: str) -> str:
    """Write in a few words why there is no interval."""
    few = not reason or reason.startswith("too few: ")
    return "too few for an interval" if few else f"no interval: {reason}"


def format_metric_title(metric: str, task: Mapping[str, Any], area: str = "") -> str:
    """Return the title of a metric with its unit.

    Args:
        area: unit of mask sizes, where the dimensions of the image are known: `ml`, `cm²`, `px`, `voxels`.
    """
    unit = (
        str(task["unit"])
        if metric in METRICS_IN_TASK_UNIT and find_answer_form(task["kind"]) in ("number", "field")
        else ""
    )
    if find_answer_form(task["kind"]) == "masks":
        length = str(task["unit"]) or "mm"
        unit = {"hd95": length, "volume_error": area or name_size_unit(length)}.get(metric, unit)
    # In 2D the metric is an area, although its key is the same.
    flat = metric == "volume_error" and area in ("cm²", "px")
    name = "area error" if flat else METRIC_TITLES.get(metric, metric)
    return name + (f" ({unit})" if unit else "")


def build_overview_table(material: ReportMaterial) -> ReportTable:
    """Build the table of every task's primary metric with its interval."""
    rows = []
    for name, task in material.evaluation.tasks.items():
        primary = str(task["primary"])
        label = TableCell(format_metric_title(primary, task), f"{task['kind']}, per {task['level']}")
        shown = build_estimate_cell(material.evaluation.primary(name), why=material.why(name, primary))
        rows.append((material.names.task(name), [label, shown]))
    return ReportTable("", ["task", "metric", "result"], rows)


def build_skills_table(material: ReportMaterial) -> ReportTable:
    """Build the table of the skill of every task and their mean; skill puts all tasks on one scale."""
    evaluation = material.evaluation
    rows = []
    for name, task in evaluation.tasks.items():
        why = material.why(name, str(task["primary"]))
        rows.append((material.names.task(name), [build_estimate_cell(evaluation.skill[name], why=why)]))
    mean = build_estimate_cell(evaluation.mean_skill, why="no task has one")
    mean = (
        mean._replace(n=f"{evaluation.mean_skill.n} tasks")
        if isfinite(evaluation.mean_skill.estimate)
        else mean
    )
    return ReportTable("", ["task", "skill"], [*rows, ("mean skill", [mean])])


def build_detail_tables(material: ReportMaterial, name: str) -> list[ReportTable]:
    """Build the tables of all metrics of a task: of the whole task, then a row per class, label or structure."""
    task, metrics = material.evaluation.tasks[name], material.evaluation.metrics[name]
    area = material.find_size_unit(name)

    def shown(metric: str) -> TableCell:
        return build_estimate_cell(metrics[metric], why=material.why(name, metric))

    plain = [m for m in metrics if "." not in m]
    tables = [
        ReportTable(
            "", ["metric", "result"], [(format_metric_title(m, task, area), [shown(m)]) for m in plain]
        )
    ]
    grid: dict[str, dict[str, str]] = {}
    for metric in (m for m in metrics if "." in m and not m.endswith(f".{END_TO_END}")):
        row, column = split_metric_name(metric, task["names"])
        grid.setdefault(row, {})[column] = metric
    if grid:
        columns = list(dict.fromkeys(c for row in grid.values() for c in row))
        survival = find_answer_form(task["kind"]) == "time"
        has_landmarks = bool(getattr(material.tasks[name], "landmarks", {}))
        rows = [
            (
                name_horizon(r, str(task["unit"]), has_landmarks)
                if survival
                else material.names.word(name, r),
                [shown(v[c]) if c in v else TableCell(DASH, why="not measured here") for c in columns],
            )
            for r, v in grid.items()
        ]
        heads = [format_metric_title(c, task, area) for c in columns]
        tables.append(
            move_n_to_column(
                ReportTable(
                    DETAIL_TABLE_TITLES.get(find_answer_form(task["kind"]), "by class"), ["", *heads], rows
                )
            )
        )
    return tables


def name_horizon(place: str, unit: str, has_landmarks: bool = False) -> str:
    """Name the horizon of a metric: `T365` → 365 days (of a task with landmarks their mean), `week6.T365` → 365 days
    from week6."""
    visit, _, horizon = place.rpartition("T")
    at = f"{horizon} {unit}".strip()
    if visit:
        return f"{at} from {visit.removesuffix('.')}"
    return f"{at}, mean over landmarks" if has_landmarks else at


def move_n_to_column(table: ReportTable) -> ReportTable:
    """Move n into a column of its own if it is the same in all cells of a row, for every row."""
    counts_by_row = [{c.n for c in cells if c.n} for _, cells in table.rows]
    # One row with different n in its cells is enough to keep n beside every value.
    if any(len(n) > 1 for n in counts_by_row) or not any(counts_by_row):
        return table
    rows = [
        (name, [*(c._replace(n="") for c in cells), TableCell(n.pop().removeprefix("n ") if n else "0")])
        for (name, cells), n in zip(table.rows, counts_by_row, strict=True)
    ]
    return ReportTable(table.title, [*table.columns, "n"], rows)


DETAIL_TABLE_TITLES: dict[AnswerForm, str] = {
    "masks": "by structure",
    "labels": "by label",
    "time": "by horizon",
    "grade": "by threshold: that grade or a higher one",
    "field": "dose-volume statistics: predicted − true, mean over cases",
}


def split_metric_name(metric: str, names: list[str]) -> tuple[str, str]:
    """Split a metric into (row, column): `dice.liver` → liver, dice; `dvh.liver.D95` → liver, D95."""
    base, _, rest = metric.partition(".")
    if base == "dvh":
        structure, _, statistic = rest.rpartition(".")
        # Names of structures may hold dots, so the known names are tried before the text is split.
        for name in names:
            if rest.startswith(f"{name}."):
                structure, statistic = name, rest[len(name) + 1 :]
        return structure, statistic
    return rest, base


def build_sites_table(material: ReportMaterial) -> ReportTable | None:
    """Build the table of primary metrics by site, and pooled against within sites; None with fewer than two sites."""
    evaluation = material.evaluation
    if len(evaluation.sites) < 2:
        return None
    rows = []
    for name, task in evaluation.tasks.items():
        primary, cells = str(task["primary"]), []
        for site, metrics in evaluation.sites.items():
            subjects = {s for s, where in material.answers.sites.items() if where == site}
            cells.append(
                build_estimate_cell(metrics[name][primary], why=material.why(name, primary, subjects))
            )
        cells += build_site_effect_cells(evaluation.site_effects.get(name))
        rows.append((f"{material.names.task(name)}: {format_metric_title(primary, task)}", cells))
    together = ["all sites together", "mean within sites", "difference"]
    return ReportTable("", ["task", *evaluation.sites, *together], rows)


def build_site_effect_cells(effect: Mapping[str, Any] | None) -> list[TableCell]:
    """Build the cells of a metric over all sites, within sites, and of their difference, bold if clearly not 0."""
    if effect is None:
        return [TableCell(DASH, why="a mean over cases, which is the same within sites")] * 3
    why = "; ".join(f"{site} (n {s['n']}): {s['why']}" for site, s in effect["sites"].items() if s["why"])
    pooled, within = (NAN if effect[k] is None else float(effect[k]) for k in ("pooled", "within"))
    gap = effect["difference"]
    low, high = (NAN if gap[k] is None else float(gap[k]) for k in ("low", "high"))
    estimate = NAN if gap["estimate"] is None else float(gap["estimate"])
    shown = [
        TableCell(format_number(v), why=why) if isfinite(v) else TableCell("not defined", why=why)
        for v in (pooled, within)
    ]
    return [
        *shown,
        build_estimate_cell(Estimate(estimate, low, high, int(gap["n"])), difference=True, why=why),
    ]


def describe_known_counts(
    counts: Mapping[str, Any], name: str = "", names: DisplayNames = PLAIN_NAMES
) -> str:
    """Describe in one line how many known answers the metrics of a task rest on."""
    subjects = "subject" if counts["subjects"] == 1 else "subjects"
    parts = [f"{counts['known']} known of {counts['items']} answered, {counts['subjects']} {subjects}"]
    if "events" in counts:
        parts.append(f"{counts['events']} events")
    if "classes" in counts:
        parts.append(", ".join(f"{names.word(name, c)}: {n}" for c, n in counts["classes"].items()))
    for label, entry in counts.get("labels", {}).items():
        parts.append(f"{names.word(name, label)}: {entry['present']} of {entry['known']}")
    for key, what in (
        ("empty_truth", "truth empty"),
        ("empty_answer", "prediction empty"),
        ("missed", "missed (not in HD95)"),
        ("only_predicted", "predicted where there is none (not in HD95)"),
    ):
        empty = [f"{names.word(name, s)} {n}" for s, n in counts.get(key, {}).items() if n]
        if empty:
            parts.append(f"{what} in {', '.join(empty)}")
    if counts.get("not_applicable"):
        parts.append(f"not applicable to {counts['not_applicable']}")
    if counts["unanswered"]:
        parts.append(f"{counts['unanswered']} known answers without a prediction")
    return "; ".join(parts)
