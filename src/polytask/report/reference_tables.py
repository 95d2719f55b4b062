"""Tables that put a task's metrics into context: simple models, operating points, and answers of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polytask.array_types import NAN
from polytask.evaluation.evaluation_result import Estimate, Evaluation
from polytask.report.metric_tables import (
    ReportTable,
    TableCell,
    build_estimate_cell,
    format_metric_title,
    format_number,
)

OPERATING_POINT_METRICS = {
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
}


def build_reference_tables(evaluation: Evaluation, name: str) -> list[ReportTable]:
    """Build all such tables that exist for one task."""
    tables = [build_simple_model_table(evaluation, name), build_operating_point_table(evaluation, name)]
    return [*(t for t in tables if t.rows), *build_other_answer_tables(evaluation, name)]


def build_simple_model_table(evaluation: Evaluation, name: str) -> ReportTable:
    """Build the table of simple models fitted on train, and what the network adds to them."""
    rows, metric = [], ""
    for model, entry in evaluation.baselines.get(name, {}).items():
        metric = format_metric_title(str(entry["metric"]), evaluation.tasks[name])
        network = TableCell(format_number(NAN if entry["network"] is None else float(entry["network"])))
        row = [
            build_estimate_cell(read_estimate_entry(entry["estimate"])),
            network,
            build_estimate_cell(read_estimate_entry(entry["difference"]), difference=True),
        ]
        rows.append((f"{model} ({entry['method']}, {entry['features']} columns)", row))
    head = f"does the network add anything? {metric}: simple models fitted on train, on the same cases"
    return ReportTable(head, ["", "simple model", "network", "network − simple model"], rows)


def build_operating_point_table(evaluation: Evaluation, name: str) -> ReportTable:
    """Build the table of operating points: the metrics at each threshold and with the plain answer."""
    rows = []
    for point in evaluation.operating_points.get(name, []):
        label = f"{point['label']}: " if point["label"] else ""
        asked = f"{label}{point['aim']} {point['target']:g}, threshold {point['threshold']:.3f}"
        for words, key in ((asked, "at_threshold"), (f"{label}plain answer", "plain")):
            rows.append(
                (
                    words,
                    [
                        build_estimate_cell(read_estimate_entry(point[key][share]))
                        for share in OPERATING_POINT_METRICS
                    ],
                )
            )
    return ReportTable(
        "operating points, chosen on the tune part", ["", *OPERATING_POINT_METRICS.values()], rows
    )


def build_other_answer_tables(evaluation: Evaluation, name: str) -> list[ReportTable]:
    """Build a table for each source of other answers: our metrics against theirs."""
    tables = []
    for table, content in evaluation.answers.items():
        rows = []
        for judged in content["tasks"].get(name, []):
            # Only metrics of the whole task are compared; those with a dot belong to one class or structure.
            if "." in judged["metric"]:
                continue
            ours, theirs = (TableCell(format_number(float(judged[side]))) for side in ("ours", "theirs"))
            difference = build_estimate_cell(read_estimate_entry(judged["difference"]), difference=True)
            rows.append(
                (format_metric_title(judged["metric"], evaluation.tasks[name]), [ours, theirs, difference])
            )
        if rows:
            tables.append(
                ReportTable(
                    f"compared with {table}, on the same cases", ["", "ours", table, "ours − theirs"], rows
                )
            )
    return tables


def read_estimate_entry(entry: Mapping[str, Any]) -> Estimate:
    """Read an estimate with its interval from an entry of `evaluation.json`."""
    estimate, low, high = (NAN if entry[k] is None else float(entry[k]) for k in ("estimate", "low", "high"))
    return Estimate(estimate, low, high, int(entry["n"]))
