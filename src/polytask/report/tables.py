"""The numbers of the page, as rows of text."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from polytask.evaluation.result import Estimate, Evaluation

DASH = "–"


NAMES = {
    "auc": "AUC",
    "c": "C-index",
    "r2": "R²",
    "mae": "MAE",
    "rmse": "RMSE",
    "pearson": "Pearson’s r",
    "kappa": "quadratic κ",
    "dice": "Dice",
    "surface_dice": "surface Dice",
    "hd95": "HD95",
    "volume_error": "volume error",
    "f1": "F1",
    "balanced_accuracy": "balanced accuracy",
    "brier": "Brier",
    "dvh": "mean |DVH difference|",
}
"""How a metric is written for people."""
IN_UNIT = ("mae", "rmse", "dvh")


class Cell(NamedTuple):
    """An estimate as text; `interval` and `n` are empty when it is not defined."""

    value: str
    interval: str = ""
    n: str = ""
    strong: bool = False


class Table(NamedTuple):
    """Rows of cells under columns; each row begins with its name."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[Cell]]]


def number(value: float) -> str:
    """Three decimals below ten, fewer above; a minus that reads as one."""
    if not isfinite(value):
        return DASH
    text = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 1000 else f"{value:.4g}"
    return text.replace("-", "−")


def signed(value: float) -> str:
    """A difference."""
    return number(value) if value < 0 or not isfinite(value) else f"+{number(value)}"


def cell(e: Estimate, difference: bool = False) -> Cell:
    """Estimate, 95 % interval and n; `strong` when a difference's interval leaves 0 out."""
    show = signed if difference else number
    if not isfinite(e.estimate):
        return Cell("not defined", "", "n 0")
    interval = f"{show(e.low)} to {show(e.high)}" if isfinite(e.low) else missing(e.reason)
    strong = difference and isfinite(e.low) and (e.low > 0 or e.high < 0)
    return Cell(show(e.estimate), interval, f"n {e.n}", strong)


def missing(reason: str) -> str:
    """Why there is no interval, in a few words."""
    few = not reason or reason.startswith("too few: ")
    return "too few for an interval" if few else f"no interval: {reason}"


def title(metric: str, task: Mapping[str, Any]) -> str:
    """A metric with its unit."""
    unit = str(task["unit"]) if metric in IN_UNIT and task["kind"] in ("regression", "dose") else ""
    unit = {"hd95": "mm", "volume_error": "ml; 2D: cm²"}.get(metric, unit)
    return NAMES.get(metric, metric) + (f" ({unit})" if unit else "")


def overview(found: Evaluation) -> Table:
    """The primary metric and the skill of every task, and the mean skill."""
    rows = []
    for name, task in found.tasks.items():
        label = Cell(title(str(task["primary"]), task), f"{task['kind']}, per {task['level']}")
        rows.append((name, [label, cell(found.primary(name)), cell(found.skill[name])]))
    mean = cell(found.mean_skill)
    rows.append(("mean skill", [Cell(""), Cell(""), mean._replace(n=f"{found.mean_skill.n} tasks")]))
    return Table("", ["task", "primary metric", "estimate", "skill"], rows)


def details(found: Evaluation, name: str) -> list[Table]:
    """All metrics of one task: those of the whole, then a row per class, label or structure."""
    task, metrics = found.tasks[name], found.metrics[name]
    plain = [m for m in metrics if "." not in m]
    tables = [Table("", ["metric", "estimate"], [(title(m, task), [cell(metrics[m])]) for m in plain])]
    inner = [m for m in metrics if "." in m]
    grid: dict[str, dict[str, Estimate]] = {}
    for metric in inner:
        row, column = split(metric, task["names"])
        grid.setdefault(row, {})[column] = metrics[metric]
    if grid:
        columns = list(dict.fromkeys(c for row in grid.values() for c in row))
        if task["kind"] == "survival":
            grid = {f"{r.removeprefix('T')} {task['unit']}": v for r, v in grid.items()}
        rows = [(r, [cell(v[c]) if c in v else Cell(DASH) for c in columns]) for r, v in grid.items()]
        heads = [title(c, task) for c in columns]
        tables.append(with_n(Table(INNER.get(task["kind"], "by class"), ["", *heads], rows)))
    return tables


def with_n(table: Table) -> Table:
    """n in a column of its own where it is the same along every row."""
    each = [{c.n for c in cells if c.n} for _, cells in table.rows]
    if any(len(n) != 1 for n in each):
        return table
    rows = [
        (name, [*(c._replace(n="") for c in cells), Cell(n.pop().removeprefix("n "))])
        for (name, cells), n in zip(table.rows, each, strict=True)
    ]
    return Table(table.title, [*table.columns, "n"], rows)


INNER = {
    "segmentation": "by structure",
    "multilabel": "by label",
    "survival": "by horizon",
    "ordinal": "by threshold: that grade or a higher one",
    "dose": "dose-volume statistics: predicted − true, mean over cases",
}


def split(metric: str, names: list[str]) -> tuple[str, str]:
    """(row, column) of a metric: `dice.liver` → liver, dice; `dvh.liver.D95` → liver, D95."""
    base, _, rest = metric.partition(".")
    if base == "dvh":
        structure, _, statistic = rest.rpartition(".")
        for name in names:
            if rest.startswith(f"{name}."):
                structure, statistic = name, rest[len(name) + 1 :]
        return structure, statistic
    return rest, base


def sites(found: Evaluation) -> Table | None:
    """The primary metric of every task by site; None with fewer than two."""
    if len(found.sites) < 2:
        return None
    rows = [
        (n, [cell(found.sites[s][n][str(t["primary"])]) for s in found.sites]) for n, t in found.tasks.items()
    ]
    columns = ["task", *found.sites]
    return Table(
        "",
        columns,
        [(f"{n}: {title(str(found.tasks[n]['primary']), found.tasks[n])}", cells) for n, cells in rows],
    )


def known(counts: Mapping[str, Any]) -> str:
    """How much a task's numbers rest on, in one line."""
    subjects = "subject" if counts["subjects"] == 1 else "subjects"
    parts = [f"{counts['known']} known of {counts['items']} answered, {counts['subjects']} {subjects}"]
    if "events" in counts:
        parts.append(f"{counts['events']} events")
    if "classes" in counts:
        parts.append(", ".join(f"{c}: {n}" for c, n in counts["classes"].items()))
    for label, entry in counts.get("labels", {}).items():
        parts.append(f"{label}: {entry['present']} of {entry['known']}")
    for key, what in (
        ("empty_truth", "truth empty"),
        ("empty_answer", "prediction empty"),
        ("missed", "missed (not in HD95)"),
        ("only_predicted", "predicted where there is none (not in HD95)"),
    ):
        empty = [f"{s} {n}" for s, n in counts.get(key, {}).items() if n]
        if empty:
            parts.append(f"{what} in {', '.join(empty)}")
    if counts["unanswered"]:
        parts.append(f"{counts['unanswered']} known truths without a prediction")
    return "; ".join(parts)
