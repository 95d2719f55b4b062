"""When a simple model is fitted, and when there is too little to fit one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.cohort.text_table import write_cases_table
from polytask.evaluation.baselines.baseline_inputs import describe_table_inputs
from polytask.evaluation.baselines.fit_baselines import (
    MIN_TRAINING_CASES,
    MIN_TRAINING_EVENTS,
    TABLE_BASELINE,
    fit_baseline,
)
from polytask.plan.plan_schema import ColumnPlan, FoldPlan
from polytask.tasks import make_task

HEADER = {
    "polytask": 1,
    "name": "tables",
    "inputs": {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}},
    "tasks": {
        "size": {"kind": "regression", "level": "visit"},
        "os": {"kind": "survival", "unit": "days", "horizons": [365]},
    },
}
SIZE = make_task("size", {"kind": "regression", "level": "visit"})
OS = make_task(
    "os",
    {
        "kind": "survival",
        "level": "subject",
        "horizons": [365],
        "unit": "days",
        "censoring": {"times": (400.0,), "survival": (0.9,)},
    },
)
FOLD = FoldPlan(
    normalisation={},
    tables={"clinic": {"age": ColumnPlan(type="number", mean=50, sd=10)}},
    tasks={},
    why={},
)


def write_cohort(folder: Path, ages: list[float], known: int, events: int = 0) -> Cohort:
    """Subjects of these ages; `known` of them have a size of half their age, all a time, and `events` an event."""
    rows = [
        {
            "subject": f"s{k}",
            "age": f"{age}",
            "size": f"{age / 2}" if k < known else "",
            "os_time": f"{100 + 10 * k}",
            "os_event": str(int(k < events)),
        }
        for k, age in enumerate(ages)
    ]
    write_cases_table(folder / "cases.csv", list(rows[0]), rows)
    return Cohort.from_table(Header.model_validate(HEADER), folder / "cases.csv")


def fit(cohort: Cohort, task: Any = SIZE) -> Any:
    return fit_baseline(TABLE_BASELINE, describe_table_inputs(FOLD), cohort, task, list(cohort.subjects), {})


AGES = [40.0 + 3 * k for k in range(MIN_TRAINING_CASES + 4)]


def test_a_model_is_fitted_on_the_fewest_known_cases_and_not_on_one_fewer(tmp_path: Path) -> None:
    found = fit(write_cohort(tmp_path, AGES, known=MIN_TRAINING_CASES))
    assert found["n"] == MIN_TRAINING_CASES
    assert found["method"] == "linear regression"
    assert fit(write_cohort(tmp_path, AGES, known=MIN_TRAINING_CASES - 1)) is None


def test_center_and_scale_are_those_of_the_known_cases(tmp_path: Path) -> None:
    found = fit(write_cohort(tmp_path, AGES, known=MIN_TRAINING_CASES))
    z = (np.array(AGES[:MIN_TRAINING_CASES]) - 50) / 10
    assert found["center"] == pytest.approx([z.mean()])
    assert found["scale"] == pytest.approx([z.std()])


def test_inputs_that_do_not_vary_tell_nothing(tmp_path: Path) -> None:
    assert fit(write_cohort(tmp_path, [50.0] * len(AGES), known=MIN_TRAINING_CASES)) is None


def test_survival_needs_events(tmp_path: Path) -> None:
    assert fit(write_cohort(tmp_path, AGES, 0, events=MIN_TRAINING_EVENTS - 1), OS) is None
    found = fit(write_cohort(tmp_path, AGES, 0, events=MIN_TRAINING_EVENTS), OS)
    assert (found["n"], found["horizons"]) == (len(AGES), [365])


def test_a_kind_whose_answers_are_numbers_has_a_linear_model(tmp_path: Path) -> None:
    counts = SimpleNamespace(name="size", kind="count", level="visit")
    found = fit(write_cohort(tmp_path, AGES, known=len(AGES)), counts)
    assert found is not None
    assert (found["kind"], found["method"]) == ("count", "linear regression")
