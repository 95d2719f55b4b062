"""PPV and NPV of a task at a stated prevalence: at its operating points, and with the plain answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import Estimate
from polytask.evaluation.operating_points import measure_threshold
from polytask.evaluation.predictive_values import compute_predictive_values
from polytask.evaluation.yes_no_questions import is_yes_no, list_yes_no_questions
from polytask.report.metric_tables import ReportTable, build_estimate_cell
from polytask.report.reference_tables import read_estimate_entry
from polytask.report.report_material import ReportMaterial
from polytask.tasks.task import Task
from polytask.trust.prevalence_request import PrevalenceRequest, parse_prevalences

Shares = tuple[Estimate, Estimate]
"""Sensitivity and specificity."""


def parse_stated_prevalences(
    texts: Sequence[str], tasks: Mapping[str, Task]
) -> tuple[PrevalenceRequest, ...]:
    """Parse `TASK=0.08` or `TASK.LABEL=0.1`; a report can't estimate, and only yes/no answers have a PPV."""
    requests = parse_prevalences(texts, tasks)
    for request in requests:
        if request.shares is None:
            raise PolytaskError(
                f"--prevalence {request.question}: a report is made for a stated prevalence; give a share such as 0.08"
            )
        if not is_yes_no(tasks[request.task]):
            raise PolytaskError(
                f"--prevalence {request.question}: {request.task} is no task with two classes or labels, so that it "
                "has no PPV"
            )
    return tuple(requests)


def build_predictive_value_tables(material: ReportMaterial, name: str) -> list[ReportTable]:
    """Build a table for each prevalence that was stated for a task or its labels."""
    tables = []
    for request in material.prevalences:
        if request.task != name or request.shares is None:
            continue
        prevalence = request.shares[1]
        rows = []
        for words, (sensitivity, specificity) in _list_thresholds(material, name, request.label):
            values = compute_predictive_values(sensitivity, specificity, prevalence)
            shown = (sensitivity, specificity, values.ppv, values.npv)
            rows.append((words, [build_estimate_cell(estimate) for estimate in shown]))
        label = f"{material.names.word(name, request.label)}: " if request.label else ""
        head = f"{label}at a prevalence of {prevalence:.3g}, whatever it is among these cases"
        tables.append(ReportTable(head, ["", "sensitivity", "specificity", "PPV", "NPV"], rows))
    return tables


def _list_thresholds(material: ReportMaterial, name: str, label: str) -> Iterator[tuple[str, Shares]]:
    points = [p for p in material.evaluation.operating_points.get(name, []) if p["label"] == label]
    for point in points:
        words = f"{point['aim']} {point['target']:g}, threshold {point['threshold']:.3f}"
        yield words, _read_shares(point["at_threshold"])
    if points:
        yield "plain answer", _read_shares(points[0]["plain"])
        return
    for question in list_yes_no_questions(material.tasks[name], material.answers.pooled[name]):
        if question.label == label:
            yield "plain answer", _read_shares(measure_threshold(question, 0.5))


def _read_shares(entry: Mapping[str, Mapping[str, object]]) -> Shares:
    return read_estimate_entry(entry["sensitivity"]), read_estimate_entry(entry["specificity"])
