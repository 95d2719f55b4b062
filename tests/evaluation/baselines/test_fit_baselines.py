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
from polytask.evaluation.baselines import fit_baselines as baseline_fit
from polytask.evaluation.baselines.baseline_inputs import describe_table_inputs
from polytask.evaluation.baselines.fit_baselines import (
    MIN_TRAINING_CASES,
    MIN_TRAINING_EVENTS,
    TABLE_BASELINE,
    describe_volume_inputs,
    fit_baseline,
    fit_baselines,
    measure_train_volumes,
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
    normalization={},
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


def test_a_volume_has_the_usual_one_as_its_unit() -> None:
    mask = make_task("mask", {"kind": "segmentation", "structures": ["s", "t"], "exclusive": True})
    volumes = {"mask": {("a", ""): {"s": 2.0, "t": 0.0}, ("b", ""): {"s": 8.0}, ("c", ""): {"s": 4.0}}}
    assert describe_volume_inputs(mask, volumes) == {
        "volumes": {"task": "mask", "structures": ["s", "t"], "units": [4.0, 1.0]}
    }


def test_a_column_that_does_not_vary_is_divided_by_one(tmp_path: Path) -> None:
    volumes = {"mask": {(f"s{k}", ""): {"s": float(k), "t": 3.0} for k in range(12)}}
    cohort = write_cohort(tmp_path, AGES[:12], 12)
    inputs = {"volumes": {"task": "mask", "structures": ["s", "t"], "units": [1.0, 1.0]}}
    found = fit_baseline("volume of mask", inputs, cohort, SIZE, list(cohort.subjects), volumes)
    assert found is not None
    assert found["scale"] == pytest.approx([np.log1p(np.arange(12.0)).std(), 1.0])
    assert found["center"] == pytest.approx([np.log1p(np.arange(12.0)).mean(), np.log(4)])
    assert (found["n"], found["method"], found["features"]) == (
        12,
        "linear regression",
        ["log volume of s", "log volume of t"],
    )


def test_volumes_of_true_masks_are_in_ml_where_they_are_known() -> None:
    value = np.array([[1, 1, 2], [0, 2, 2]], np.uint8)
    grid = SimpleNamespace(spacing=(2.0, 5.0))

    def store_of(
        known: list[bool], voxel: np.ndarray = value, prepared: Any = SimpleNamespace(grid=grid)
    ) -> Any:
        case = SimpleNamespace(
            known=lambda task: known, prepared=lambda image: prepared, voxel={"mask": voxel}
        )
        return SimpleNamespace(case=lambda key: case)

    case = SimpleNamespace(subject="a", visit="", key="k")
    tasks = {"mask": SimpleNamespace(image="ct")}
    cohort: Any = SimpleNamespace(header=SimpleNamespace(tasks=tasks), subjects={"a": (case,), "b": (case,)})
    mask = make_task("mask", {"kind": "segmentation", "structures": ["s", "t"], "exclusive": True})
    assert measure_train_volumes(cohort, mask, ["a"], store_of([True, True])) == {
        ("a", ""): {"s": 0.2, "t": pytest.approx(0.3)}
    }
    assert measure_train_volumes(cohort, mask, ["a"], store_of([False, True])) == {
        ("a", ""): {"t": pytest.approx(0.3)}
    }
    assert measure_train_volumes(cohort, mask, ["a"], store_of([False, False])) == {}
    assert measure_train_volumes(cohort, mask, ["a"], store_of([True, True], prepared=None)) == {}
    assert measure_train_volumes(cohort, mask, [], store_of([True, True])) == {}
    many = make_task(
        "mask", {"kind": "segmentation", "structures": ["s", "t"], "exclusive": False, "unit": "px"}
    )
    planes = np.stack([value > 0, value == 2]).astype(np.uint8)
    pixels: Any = SimpleNamespace(grid=SimpleNamespace(spacing=(1.0, 1.0)))
    assert measure_train_volumes(cohort, many, ["a"], store_of([True, True], planes, pixels)) == {
        ("a", ""): {"s": 5.0, "t": 3.0}
    }


def test_there_is_a_model_of_the_tables_and_one_of_each_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def fit_it(name: str, inputs: Any, cohort: Any, task: Any, train: Any, volumes: Any) -> Any:
        asked.append((name, task.name))
        return None if task.name == "os" else {"name": name, "task": task.name}

    monkeypatch.setattr(baseline_fit, "fit_baseline", fit_it)
    monkeypatch.setattr(baseline_fit, "measure_train_volumes", lambda *a: {})
    mask = make_task("mask", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
    tasks: dict[str, Any] = {"size": SIZE, "os": OS, "mask": mask}
    nothing: Any = None
    store: Any = object()
    found = fit_baselines(nothing, tasks, FOLD, [], store)
    assert [(b["name"], b["task"]) for b in found] == [("table", "size"), ("volume of mask", "size")]
    assert asked == [("table", "size"), ("table", "os"), ("volume of mask", "size"), ("volume of mask", "os")]
    assert [b["name"] for b in fit_baselines(nothing, tasks, FOLD, [], None)] == ["table"]
    for tables in ({}, {"clinic": {}}):
        bare = FOLD.model_copy(update={"tables": tables})
        assert [b["name"] for b in fit_baselines(nothing, tasks, bare, [], store)] == ["volume of mask"]
    half = FOLD.model_copy(update={"tables": {**FOLD.tables, "blood": {}}})
    assert [b["name"] for b in fit_baselines(nothing, tasks, half, [], None)] == ["table"]
    assert fit_baselines(nothing, {"mask": mask}, FOLD, [], store) == []
