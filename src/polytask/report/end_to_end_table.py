"""The table of a task that follows another: on whom its metrics rest, and how good it is end to end."""

from __future__ import annotations

from polytask.evaluation.end_to_end import END_TO_END
from polytask.kinds.applicability import describe_condition
from polytask.report.metric_tables import ReportTable, build_estimate_cell, format_metric_title
from polytask.report.report_material import ReportMaterial


def build_end_to_end_tables(material: ReportMaterial, name: str) -> list[ReportTable]:
    """Build the table whose title says when the task applies; none for a task that always applies."""
    task, metrics = material.evaluation.tasks[name], material.evaluation.metrics[name]
    condition = describe_condition(task.get("applies_when", {}))
    if not condition:
        return []
    title = f"the metrics above are given that {condition}"
    whole = [m for m in metrics if m.endswith(f".{END_TO_END}")]
    if not whole:
        return [ReportTable(title, [], [])]
    rows = [
        (
            format_metric_title(m.partition(".")[0], task),
            [build_estimate_cell(metrics[m], why=material.why(name, m))],
        )
        for m in whole
    ]
    return [
        ReportTable(f"{title}; end to end, with “not applicable” as an answer", ["metric", "result"], rows)
    ]
