"""One page: every image, the training and every task with its primary metric."""

from __future__ import annotations

import json

from polytask.cohort.splits import Splits
from polytask.plan.fingerprint_records import CaseRecord, Fingerprint
from polytask.plan.plan_schema import Plan
from polytask.plan.plan_summary import (
    describe_folds,
    dump_summary,
    list_summary_rows,
    list_task_rows,
    render_summary,
)
from polytask.plan.planner import make_plan
from tests.plan.worlds import LAPTOP, cohort_of, header, one_fold

TABLE_ONLY = header(
    inputs={
        "lab": {
            "kind": "table",
            "columns": {"a": {"type": "number", "group": "x"}, "b": {"type": "number", "group": "y"}},
        }
    },
    tasks={"grade": {"kind": "ordinal", "order": ["G1", "G2", "G3"]}},
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


def test_tables_say_how_many_columns_they_give() -> None:
    """Two folds of a table with two groups; no fold uses every column."""
    cohort = cohort_of(
        TABLE_ONLY, [{"a": str(i), "b": str(i % 5), "grade": f"G{1 + i % 3}"} for i in range(12)]
    )
    records = {
        f"s{i:02d}": CaseRecord(digest="0", subject=f"s{i:02d}", images={}, voxels={}) for i in range(12)
    }
    plan = make_plan(cohort, Fingerprint(cases=records), one_fold(cohort), machine=LAPTOP)
    fold = plan.folds[0]
    fewer = fold.model_copy(update={"tables": {"lab": {"a": fold.tables["lab"]["a"]}}})
    rows = {
        row.what: row for row in list_summary_rows(plan.model_copy(update={"folds": {0: fold, 1: fewer}}))
    }
    assert rows["lab: columns"].value == "1–2 columns, 1–2 groups"
    assert rows["lab: columns"].why.startswith("2 of 2 columns are used")
    assert list_summary_rows(plan)[0].value == "2 columns, 2 groups"
    assert "flips" not in rows, "there is no image to flip"
    assert plan.shared.augmentation.flip == ()
    assert plan.shared.why["augmentation.flip"] == "none: the cohort has no image input"


def test_pictures_beside_volumes_have_a_row_of_their_own(phantom_plan: Plan) -> None:
    plan = phantom_plan.model_copy(deep=True)
    assert [row.what for row in list_summary_rows(plan) if "flips" in row.what] == ["flips"]
    plan.shared.augmentation.flip_2d = (True, True)
    found = {row.what: row.value for row in list_summary_rows(plan)}
    assert found["flips of 2D images"] == "axis 0, 1"
    assert found["flips"] == "axis 0"
