"""Tables that put a task's metrics into context: simple models, operating points, and answers of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polytask.evaluation.result import NAN, Estimate, Evaluation
from polytask.report.tables import Cell, Table, cell, number, title

SHARES = {"sensitivity": "sensitivity", "specificity": "specificity", "ppv": "PPV", "npv": "NPV"}


def tables_beside(found: Evaluation, name: str) -> list[Table]:
    """Build all such tables that exist for one task."""
    tables = [table_of_simple_models(found, name), table_of_points(found, name)]
    return [*(t for t in tables if t.rows), *tables_of_answers(found, name)]


def table_of_simple_models(found: Evaluation, name: str) -> Table:
    """Build the table of simple models fitted on train, and what the network adds to them."""
    rows, metric = [], ""
    for model, entry in found.baselines.get(name, {}).items():
        metric = title(str(entry["metric"]), found.tasks[name])
        network = Cell(number(NAN if entry["network"] is None else float(entry["network"])))
        row = [
            cell(_estimate(entry["estimate"])),
            network,
            cell(_estimate(entry["difference"]), difference=True),
        ]
        rows.append((f"{model} ({entry['method']}, {entry['features']} columns)", row))
    head = f"does the network add anything? {metric}: simple models fitted on train, on the same cases"
    return Table(head, ["", "simple model", "network", "network − simple model"], rows)


def table_of_points(found: Evaluation, name: str) -> Table:
    """Build the table of operating points: the metrics at each threshold and with the plain answer."""
    rows = []
    for point in found.operating_points.get(name, []):
        label = f"{point['label']}: " if point["label"] else ""
        asked = f"{label}{point['aim']} {point['target']:g}, threshold {point['threshold']:.3f}"
        for words, key in ((asked, "at_threshold"), (f"{label}plain answer", "plain")):
            rows.append((words, [cell(_estimate(point[key][share])) for share in SHARES]))
    return Table("operating points, chosen on the tune part", ["", *SHARES.values()], rows)


def tables_of_answers(found: Evaluation, name: str) -> list[Table]:
    """Build a table for each source of other answers: our metrics against theirs."""
    tables = []
    for table, content in found.answers.items():
        rows = []
        for judged in content["tasks"].get(name, []):
            # Only metrics of the whole task are compared; those with a dot belong to one class or structure.
            if "." in judged["metric"]:
                continue
            ours, theirs = (Cell(number(float(judged[side]))) for side in ("ours", "theirs"))
            difference = cell(_estimate(judged["difference"]), difference=True)
            rows.append((title(judged["metric"], found.tasks[name]), [ours, theirs, difference]))
        if rows:
            tables.append(
                Table(f"beside {table}, on the same cases", ["", "ours", table, "ours − theirs"], rows)
            )
    return tables


def _estimate(entry: Mapping[str, Any]) -> Estimate:
    estimate, low, high = (NAN if entry[k] is None else float(entry[k]) for k in ("estimate", "low", "high"))
    return Estimate(estimate, low, high, int(entry["n"]))
