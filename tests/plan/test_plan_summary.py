"""One page: every image, the training and every task with its primary metric."""

from __future__ import annotations

import json

from polytask.cohort.splits import Splits
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_summary import (
    describe_folds,
    dump_summary,
    list_summary_rows,
    list_task_rows,
    render_summary,
)


def test_one_page_names_what_matters(phantom_plan: Plan, phantom_splits: Splits) -> None:
    page = render_summary(phantom_plan, phantom_splits)
    assert "3 folds by subject: train" in page
    for word in ("scan: spacing", "scan: field", "batch", "precision", "os", "survival, subject, c", "kappa"):
        assert word in page
    assert page.count("\n") < 75, "a page"
    assert max(map(len, page.splitlines())) <= 112


def test_every_row_has_a_reason(phantom_plan: Plan) -> None:
    assert [row.what for row in list_summary_rows(phantom_plan) if not row.why] == []
    assert {cells[0] for cells in list_task_rows(phantom_plan)} == set(phantom_plan.folds[0].tasks)


def test_headline_without_splits(phantom_plan: Plan) -> None:
    assert describe_folds(phantom_plan) == "3 folds, seed 0"


def test_json_form(phantom_plan: Plan, phantom_splits: Splits) -> None:
    found = json.loads(json.dumps(dump_summary(phantom_plan, phantom_splits)))
    assert found["shared"]["images"]["scan"]["field"] == "whole"
    assert found["tasks"]["os"] == {"kind": "survival", "level": "subject", "primary": "c"}
    assert [sum(fold.values()) for fold in found["folds"]] == [10, 10, 10]
    assert "why" not in found["shared"]
