"""What `polytask evaluate` prints below the metrics: risk groups, operating points, simple models, others' answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from polytask.evaluation.result import Evaluation

SHARES = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}
"""Key of a rate in `evaluation.json` → how a table names it."""


def tables_beside(found: Evaluation) -> list[Table]:
    """Make the tables that stand below the metrics: answers of others, simple models, operating points."""
    given = [table_of_answers(name, content) for name, content in found.answers.items()]
    there = [table_of_baselines(found.baselines)] if found.baselines else []
    points = [table_of_points(found.operating_points)] if found.operating_points else []
    return [*given, *there, *points]


def table_of_answers(name: str, content: Mapping[str, Any]) -> Table:
    """Make a table of our metrics beside those of somebody else's answers, on the same cases."""
    shown = _table(f"ours against {name} (theirs), on the same cases", ["task", "metric"])
    _add(shown, ["ours", "theirs", "difference", "95 % interval", "n"])
    for task, judged in content["tasks"].items():
        # A name with a dot is the metric of one class or label: shown only where there is no metric of the whole task.
        rows = [j for j in judged if "." not in j["metric"]] or judged
        for k, j in enumerate(rows):
            shown.add_row(
                _text(task if k == 0 else ""),
                _text(j["metric"]),
                _number(j["ours"]),
                _number(j["theirs"]),
                *_difference(j["difference"]),
                end_section=k == len(rows) - 1,
            )
    return shown


def table_of_baselines(baselines: Mapping[str, Mapping[str, Any]]) -> Table:
    """Make a table of the network's primary metric beside that of each simple model, on the same cases."""
    shown = _table("does the network add anything? simple models, fitted on train", ["task", "simple model"])
    _add(shown, ["simple", "network", "difference", "95 % interval", "n"])
    for task, models in baselines.items():
        for k, (name, m) in enumerate(models.items()):
            shown.add_row(
                _text(f"{task}, {m['metric']}" if k == 0 else ""),
                _text(name),
                _number(m["estimate"]["estimate"]),
                _number(m["network"]),
                *_difference(m["difference"]),
                end_section=k == len(models) - 1,
            )
    return shown


def table_of_points(points: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Make a table of sensitivity, specificity, PPV and NPV at each operating point, beside the plain answer's."""
    shown = _table("operating points, chosen on tune", ["task", "share"])
    _add(shown, ["at the threshold", "n", "plain answer", "n"])
    for task, found in points.items():
        for point in found:
            name = f"{task}.{point['label']}" if point["label"] else task
            for k, (share, words) in enumerate(SHARES.items()):
                shown.add_row(
                    _text(f"{name}: {point['aim']} {point['target']:g}" if k == 0 else ""),
                    _text(words),
                    *_share(point["at_threshold"][share]),
                    *_share(point["plain"][share]),
                    end_section=k == len(SHARES) - 1,
                )
    return shown


def remarks_beside(found: Evaluation) -> list[str]:
    """Write the sentences that stand below the tables.

    They say how groups by risk differ, which rows of a table of answers were left out, how simple models were fitted.
    """
    texts = [f"{task}: {describe(compared)}" for task, compared in found.groups.items()]
    for name, content in found.answers.items():
        for task, n in content["elsewhere"].items():
            if n:
                judged = content["cases"][task]
                texts.append(
                    f"{name}, {task}: {judged} answers judged; {n} to cases of other parts, or without a truth or an "
                    "answer of ours, left out"
                )
        if content["ignored"]:
            texts.append(f"{name}: columns that answer nothing: {', '.join(content['ignored'])}")
    for task, points in found.operating_points.items():
        for p in points:
            name = f"{task}.{p['label']}" if p["label"] else task
            texts.append(
                f"{name}: threshold {p['threshold']:.3f} holds {p['aim']} {p['target']:g} on tune (n {p['n']}, "
                f"{p['positives']} positive); predictions.csv says what it calls in {task}.{p['name']}"
            )
    if found.baselines:
        volumes = any(name != "table" for models in found.baselines.values() for name in models)
        texts.append(
            "Simple models: ridge regression on the train part alone, its strength chosen there. Difference: network − "
            "simple model, on the same cases."
            + (
                " Those of a volume were fitted on the true masks and answer by the predicted ones."
                if volumes
                else ""
            )
        )
    return texts


def describe(compared: Mapping[str, Any]) -> str:
    """Describe in one sentence how the groups by predicted risk differ: sizes, log-rank test, hazard ratio."""
    groups = ", ".join(f"{g} {c['n']} ({c['events']} events)" for g, c in compared["groups"].items())
    p, ratio = compared["log_rank"]["p"], compared["hazard_ratio"]
    parts = [f"groups cut at the training risks: {groups}"]
    if p is not None:
        parts.append(f"log-rank p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}")
    if ratio["estimate"] is not None:
        interval = "" if ratio["low"] is None else f" ({ratio['low']:.2f} to {ratio['high']:.2f})"
        parts.append(f"hazard ratio high against low {ratio['estimate']:.2f}{interval}")
    if compared["note"]:
        parts.append(compared["note"])
    return "; ".join(parts)


def _table(title: str, columns: Sequence[str]) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    shown = Table(title=_text(title), box=SIMPLE, padding=(0, 1, 0, 0))
    for column in columns:
        shown.add_column(column)
    return shown


def _add(shown: Table, columns: Sequence[str]) -> None:
    for column in columns:
        shown.add_column(_text(column), justify="right")


def _text(words: str) -> Any:
    from rich.text import Text

    # A plain string would be parsed as markup of rich, which swallows brackets in names of tasks and columns.
    return Text(words)


def _number(value: float | None) -> str:
    if value is None:
        return "not defined"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _difference(estimate: Mapping[str, Any]) -> tuple[str, str, str]:
    """Format the three cells of a paired difference: its value, its interval, and n."""
    if estimate["estimate"] is None:
        return "not defined", "", str(estimate["n"])
    interval = (
        "too few" if estimate["low"] is None else f"{_number(estimate['low'])} to {_number(estimate['high'])}"
    )
    return _number(estimate["estimate"]), interval, str(estimate["n"])


def _share(estimate: Mapping[str, Any]) -> tuple[str, str]:
    """Format the two cells of a share: its value with the interval, and n."""
    if estimate["estimate"] is None:
        return "not defined", str(estimate["n"])
    interval = "" if estimate["low"] is None else f" ({estimate['low']:.2f} to {estimate['high']:.2f})"
    return f"{estimate['estimate']:.2f}{interval}", str(estimate["n"])
