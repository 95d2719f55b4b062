"""Prints what stands below the metrics: risk groups, operating points, simple models, answers of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.evaluation_result import Evaluation

RATE_LABELS = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
"""Key of a rate in `evaluation.json` → how a table names it."""


def make_extra_tables(evaluation: Evaluation) -> list[Table]:
    """Make the tables that stand below the metrics: answers of others, simple models, operating points."""
    answers = [make_answers_table(name, content) for name, content in evaluation.answers.items()]
    baselines = [make_baselines_table(evaluation.baselines)] if evaluation.baselines else []
    promised = [make_promises_table(evaluation.promises)] if evaluation.promises else []
    points = [make_operating_points_table(evaluation.operating_points)] if evaluation.operating_points else []
    return [*answers, *baselines, *points, *promised]


def make_promises_table(promises: Mapping[str, Any]) -> Table:
    """Make a table of the share of sets that held the truth here, in all and by class, and of calibration errors."""
    shown = _start_table(
        f"do the promises hold here? (sets with the truth, {promises['level']:.0%} promised)", ["task"]
    )
    _add_number_columns(shown, ["held", "95 % interval", "n", "calibration error", "answered", "their error"])
    for task, judged in promises["tasks"].items():
        errors = judged.get("calibration")
        told = [f"{errors[k]['estimate']:.3f}" for k in ("raw", "calibrated")] if errors else ["–"]
        rules = judged.get("refer", {})
        shown.add_row(
            _make_rich_text(task),
            *_format_held(judged["coverage"]),
            _make_rich_text(" → ".join(told)),
            _make_rich_text(" · ".join(f"{r['answered']} of {r['n']}" for r in rules.values()) or "–"),
            _make_rich_text(" · ".join(_format_decimal(r["error"]) for r in rules.values()) or "–"),
        )
        for stratum, share in judged["strata"].items():
            shown.add_row(_make_rich_text(f"  {stratum}"), *_format_held(share), "", "", "")
    return shown


def _format_held(share: Mapping[str, Any]) -> list[Any]:
    ends = f"{share['low']:.0%} to {share['high']:.0%}"
    return [_make_rich_text(f"{share['estimate']:.0%}"), _make_rich_text(ends), str(share["n"])]


def make_answers_table(name: str, content: Mapping[str, Any]) -> Table:
    """Make a table that compares our metrics with those of somebody else's answers, on the same cases."""
    shown = _start_table(f"ours against {name} (theirs), on the same cases", ["task", "metric"])
    _add_number_columns(shown, ["ours", "theirs", "difference", "95 % interval", "n"])
    for task, judged in content["tasks"].items():
        # A name with a dot is the metric of one class or label: shown only where there is no metric of the whole task.
        rows = [j for j in judged if "." not in j["metric"]] or judged
        for k, j in enumerate(rows):
            shown.add_row(
                _make_rich_text(task if k == 0 else ""),
                _make_rich_text(j["metric"]),
                _format_decimal(j["ours"]),
                _format_decimal(j["theirs"]),
                *_format_difference(j["difference"]),
                end_section=k == len(rows) - 1,
            )
    return shown


def make_baselines_table(baselines: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make a table that compares the network's primary metric with that of each simple model, on the same cases."""
    shown = _start_table(
        "simple models fitted on the train part: does the network add anything?", ["task", "simple model"]
    )
    _add_number_columns(shown, ["simple", "network", "difference", "95 % interval", "n"])
    for task, models in baselines.items():
        for k, (name, m) in enumerate(models.items()):
            shown.add_row(
                _make_rich_text(f"{task}, {m['metric']}" if k == 0 else ""),
                _make_rich_text(name),
                _format_decimal(m["estimate"]["estimate"]),
                _format_decimal(m["network"]),
                *_format_difference(m["difference"]),
                end_section=k == len(models) - 1,
            )
    return shown


def make_operating_points_table(points: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Make a table of sensitivity, specificity, PPV and NPV at each operating point and of the plain answer."""
    shown = _start_table("operating points, chosen on tune", ["task", "share"])
    _add_number_columns(shown, ["at the threshold", "n", "plain answer", "n"])
    for task, task_points in points.items():
        for point in task_points:
            name = f"{task}.{point['label']}" if point["label"] else task
            for k, (share, words) in enumerate(RATE_LABELS.items()):
                shown.add_row(
                    _make_rich_text(f"{name}: {point['aim']} {point['target']:g}" if k == 0 else ""),
                    _make_rich_text(words),
                    *_format_rate(point["at_threshold"][share]),
                    *_format_rate(point["plain"][share]),
                    end_section=k == len(RATE_LABELS) - 1,
                )
    return shown


def describe_extra_results(evaluation: Evaluation) -> list[str]:
    """Write the sentences that stand below the tables.

    They describe the risk groups, the answers of others that were left out, and how simple models were fitted.
    """
    texts = [f"{task}: {describe_risk_groups(compared)}" for task, compared in evaluation.groups.items()]
    for name, content in evaluation.answers.items():
        for task, n in content["elsewhere"].items():
            if n:
                judged = content["cases"][task]
                texts.append(
                    f"{name}, {task}: {judged} answers evaluated, {n} left out (cases of other parts, or without a "
                    "known truth or an answer of ours)"
                )
        if content["ignored"]:
            texts.append(f"{name}: columns without a task of this model: {', '.join(content['ignored'])}")
    for task, points in evaluation.operating_points.items():
        for p in points:
            name = f"{task}.{p['label']}" if p["label"] else task
            texts.append(
                f"{name}: threshold {p['threshold']:.3f} reaches {p['aim']} {p['target']:g} on tune (n {p['n']}, "
                f"{p['positives']} positive); the answers at this threshold are in column {task}.{p['name']} of "
                "predictions.csv"
            )
    if evaluation.baselines:
        volumes = any(name != "table" for models in evaluation.baselines.values() for name in models)
        texts.append(
            "Simple models: ridge regression on the train part alone, its strength chosen there. Difference: network − "
            "simple model, on the same cases."
            + (
                " Models that read volumes were fitted on the true masks and predict from the predicted masks."
                if volumes
                else ""
            )
        )
    return texts


def describe_risk_groups(compared: Mapping[str, Any]) -> str:
    """Describe in one sentence how the groups by predicted risk differ: sizes, log-rank test, hazard ratio."""
    groups = ", ".join(f"{g} {c['n']} ({c['events']} events)" for g, c in compared["groups"].items())
    p, ratio = compared["log_rank"]["p"], compared["hazard_ratio"]
    parts = [f"risk groups, with the cut-offs of the training risks: {groups}"]
    if p is not None:
        parts.append(f"log-rank p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}")
    if ratio["estimate"] is not None:
        interval = "" if ratio["low"] is None else f" ({ratio['low']:.2f} to {ratio['high']:.2f})"
        parts.append(f"hazard ratio high against low {ratio['estimate']:.2f}{interval}")
    if compared["note"]:
        parts.append(compared["note"])
    return "; ".join(parts)


def _start_table(title: str, columns: Sequence[str]) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    shown = Table(title=_make_rich_text(title), box=SIMPLE, padding=(0, 1, 0, 0))
    for column in columns:
        shown.add_column(column)
    return shown


def _add_number_columns(shown: Table, columns: Sequence[str]) -> None:
    for column in columns:
        shown.add_column(_make_rich_text(column), justify="right")


def _make_rich_text(words: str) -> Any:
    from rich.text import Text

    # A plain string would be parsed as markup of rich, which swallows brackets in names of tasks and columns.
    return Text(words)


def _format_decimal(value: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _format_difference(estimate: Mapping[str, Any]) -> tuple[str, str, str]:
    """Format the three cells of a paired difference: its value, its interval, and n."""
    if estimate["estimate"] is None:
        return "not defined", "", str(estimate["n"])
    interval = (
        "too few"
        if estimate["low"] is None
        else f"{_format_decimal(estimate['low'])} to {_format_decimal(estimate['high'])}"
    )
    return _format_decimal(estimate["estimate"]), interval, str(estimate["n"])


def _format_rate(estimate: Mapping[str, Any]) -> tuple[str, str]:
    """Format the two cells of a share: its value with the interval, and n."""
    if estimate["estimate"] is None:
        return "not defined", str(estimate["n"])
    interval = "" if estimate["low"] is None else f" ({estimate['low']:.2f} to {estimate['high']:.2f})"
    return f"{estimate['estimate']:.2f}{interval}", str(estimate["n"])
