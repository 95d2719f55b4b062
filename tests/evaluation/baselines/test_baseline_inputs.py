"""What simple models read."""

from __future__ import annotations

from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.text_table import write_cases_table
from polytask.evaluation.baselines.baseline_inputs import (
    describe_table_inputs,
    list_feature_names,
    read_features,
    select_readable_cases,
)
from polytask.plan.plan_schema import ColumnPlan, FoldPlan

COLUMNS: dict[str, ColumnPlan] = {
    "age": ColumnPlan(type="number", mean=50, sd=10, group="x"),
    "sex": ColumnPlan(type="category", values=["f", "m"]),
    "weight": ColumnPlan(type="number", mean=70, sd=5, group="x"),
}
INPUTS = describe_table_inputs(
    FoldPlan(normalization={}, tables={"clinic": COLUMNS, "none": {}}, tasks={}, why={})
)
HEADER = {
    "polytask": 1,
    "name": "c",
    "visits": ["t0", "t1"],
    "inputs": {
        "clinic": {
            "kind": "table",
            "columns": {"age": {"type": "number"}, "sex": {"type": "category"}, "weight": {"type": "number"}},
        }
    },
    "tasks": {"size": {"kind": "regression"}, "os": {"kind": "survival", "visits": ["t0"]}},
}


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    rows: list[dict[str, Any]] = [
        {"subject": "a", "visit": "t0", "age": "60", "sex": "m", "weight": "", "size": "1"},
        {"subject": "a", "visit": "t1", "age": "80", "sex": "", "weight": "80", "size": "1"},
        {"subject": "b", "visit": "t0", "age": "", "sex": "", "weight": "", "size": "1"},
    ]
    write_cases_table(tmp_path / "cases.csv", list(rows[0]), rows)
    return Cohort.from_table(Header.model_validate(HEADER), tmp_path / "cases.csv")


def test_features_are_named_in_the_order_of_their_groups() -> None:
    assert list(INPUTS["tables"]) == ["clinic"]
    assert list_feature_names(INPUTS) == ["clinic.age", "clinic.weight", "clinic.sex = f", "clinic.sex = m"]
    assert list_feature_names({"volumes": {"structures": ["s"]}}) == ["log volume of s"]


def test_features_of_several_visits_are_means_of_what_is_known(cohort: Cohort) -> None:
    def read(*rows: int) -> list[float] | None:
        found = read_features(INPUTS, cohort, [cohort.cases[k] for k in rows], {})
        return None if found is None else found.tolist()

    assert read(0) == [1.0, 0.0, 0.0, 1.0]
    assert read(0, 1) == [2.0, 2.0, 0.0, 1.0]
    assert read(2) is None
    assert read() is None
    other = {"tables": {"history": INPUTS["tables"]["clinic"]}}
    assert read_features(other, cohort, [cohort.cases[0]], {}) is None


def test_a_volume_is_a_logarithm_in_units_of_the_usual_one(cohort: Cohort) -> None:
    inputs = {"volumes": {"task": "mask", "structures": ["s", "t"], "units": [2.0, 4.0]}}
    volumes = {"mask": {("a", "t0"): {"s": 6.0}, ("a", "t1"): {"s": 0.0, "t": 4.0}}}
    one = read_features(inputs, cohort, [cohort.cases[0]], volumes)
    assert one is not None
    assert one.tolist() == pytest.approx([log(4), 0.0])
    both = read_features(inputs, cohort, list(cohort.cases[:2]), volumes)
    assert both is not None
    assert both.tolist() == pytest.approx([log(4) / 2, log(2)])
    assert read_features(inputs, cohort, [cohort.cases[2]], volumes) is None


def test_an_answer_reads_its_own_visit_or_those_of_its_task(cohort: Cohort) -> None:
    def visits(task: str, who: tuple[str, str], wanted: list[str] | None = None) -> list[str]:
        return [c.visit for c in select_readable_cases(cohort, task, who, wanted)]

    assert visits("size", ("a", "t1")) == ["t1"]
    assert visits("size", ("a", "")) == []
    assert visits("os", ("a", "")) == ["t0", "t1"]
    assert visits("os", ("a", ""), ["t0"]) == ["t0"]
    assert visits("os", ("a", "t1"), ["t0"]) == ["t1"]
    assert visits("os", ("nobody", "")) == []
    assert np.array_equal([c.subject for c in select_readable_cases(cohort, "os", ("b", ""), None)], ["b"])
