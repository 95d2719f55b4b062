"""Tables beside a task's metrics, as text of the page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from polytask.report.reference_tables import build_reference_tables
from polytask.report.report_material import ReportMaterial
from polytask.report.run_page import render_run_page


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, object]:
    return {"estimate": value, "low": low, "high": high, "n": 12}


def with_everything(flat: ReportMaterial) -> ReportMaterial:
    shares = {s: estimate(0.9, 0.8, 0.95) for s in ("sensitivity", "specificity", "ppv", "npv")}
    point = {"label": "", "aim": "sensitivity", "target": 0.9, "threshold": 0.21, "at_threshold": shares}
    judged = {
        "metric": "auc",
        "higher": True,
        "ours": 0.8,
        "theirs": 0.7,
        "difference": estimate(0.1, 0.02, 0.2),
    }
    simple = {"metric": "auc", "method": "logistic regression", "features": 3, "network": 0.8}
    found = replace(
        flat.evaluation,
        baselines={"response": {"table": {**simple, "estimate": estimate(0.6), "difference": estimate(0.2)}}},
        operating_points={"response": [{**point, "plain": {**shares, "ppv": estimate(None)}}]},
        answers={"reader <1>": {"tasks": {"response": [judged, {**judged, "metric": "auc.x"}]}}},
    )
    return replace(flat, evaluation=found)


def test_every_table_and_none_where_there_is_nothing(flat: ReportMaterial) -> None:
    tables = build_reference_tables(with_everything(flat).evaluation, "response")
    assert [len(t.rows) for t in tables] == [1, 2, 1]
    name, cells = tables[0].rows[0]
    assert name == "table (logistic regression, 3 columns)"
    assert [c.value for c in cells] == ["0.600", "0.800", "+0.200"]
    assert tables[1].rows[0][0] == "sensitivity 0.9, threshold 0.210"
    assert tables[1].rows[1][1][2].value == "not defined"
    assert [c.value for c in tables[2].rows[0][1]] == ["0.800", "0.700", "+0.100"]
    assert tables[2].rows[0][1][2].strong
    assert build_reference_tables(flat.evaluation, "response") == []


@pytest.mark.usefixtures("without_pictures")
def test_they_stand_on_the_page(flat: ReportMaterial) -> None:
    text = render_run_page(with_everything(flat))
    assert "does the network add anything? AUC" in text
    assert "compared with reader &lt;1&gt;, on the same cases" in text
