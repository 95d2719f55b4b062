"""What answers rest on is shown where the fusion weighs its inputs, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from polytask.report.input_weights import build_input_weight_table
from polytask.report.report_material import ReportMaterial
from polytask.report.run_facts import list_training_facts
from polytask.report.run_page import render_run_page


def with_weights(material: ReportMaterial) -> ReportMaterial:
    """The same answers with weights 0.25 and 0.75 beside those of one task."""
    items = material.answers.pooled["grade"]
    count = len(items.ids)
    more = {"source.scan": np.full(count, 0.25), "source.clinic": np.full(count, 0.75)}
    pooled = material.answers.pooled | {"grade": replace(items, prediction=items.prediction | more)}
    return replace(material, answers=replace(material.answers, pooled=pooled))


@pytest.mark.usefixtures("without_pictures")
def test_weights_are_a_row_per_task(flat: ReportMaterial) -> None:
    table = build_input_weight_table(with_weights(flat))
    assert table is not None
    assert table.columns == ["task", "scan", "clinic"]
    assert all(len(cells) == len(table.columns) - 1 for _, cells in table.rows)  # a heading for every cell
    assert [(name, [c.value for c in cells]) for name, cells in table.rows] == [("grade", ["0.25", "0.75"])]
    assert 'id="sources"' in render_run_page(with_weights(flat))


@pytest.mark.usefixtures("without_pictures")
def test_without_weights_there_is_no_section(flat: ReportMaterial) -> None:
    assert build_input_weight_table(flat) is None
    assert 'id="sources"' not in render_run_page(flat)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"preset": "mmdls", "input_fusion": "attention"}, {"preset": "mmdls", "over inputs": "attention"}),
        ({"after": {"os": ["grade", "type"]}}, {"chains": "os after grade and type"}),
        ({"form": "paper"}, {"sharing": "hard (paper form)"}),
    ],
)
def test_the_head_names_the_point_in_the_model_space(
    flat: ReportMaterial, changes: dict[str, object], wanted: dict[str, str]
) -> None:
    plan = flat.plan.model_copy(deep=True)
    for key, value in changes.items():
        setattr(plan.shared.model, key, value)
    named = {fact.name: fact.value for fact in list_training_facts(replace(flat, plan=plan))}
    assert {k: named.get(k) for k in wanted} == wanted
    assert ("preset" in named) == ("preset" in changes)
