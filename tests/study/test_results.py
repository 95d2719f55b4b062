from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.evaluation_result import Evaluation
from polytask.evaluation.part_answers import PartAnswers
from polytask.inference.pooled_answers import PooledAnswers
from polytask.study.results import (
    ResultsWriter,
    collect_answer_cells,
    collect_truth_cells,
)
from polytask.study.results_table import RESULTS_SCHEMA, read_results
from polytask.study.study_folder import Study


def test_every_number_of_every_run_is_in_the_table(finished: Study) -> None:
    table = finished.table()
    assert table.schema.equals(RESULTS_SCHEMA)
    rows = table.to_pylist()
    assert {r["run"] for r in rows} == {run.name for run in finished.runs}
    for run in finished.runs:
        mine = [r for r in rows if r["run"] == run.name]
        assert {(r["arm"], r["sharing"], r["balance"], r["preset"], r["fold"], r["seed"]) for r in mine} == {
            (run.arm.name, run.arm.sharing, "equal", "", run.fold, run.seed)
        }
        evaluation = Evaluation.read(run.folder / "evaluation.json")
        metrics = {(r["task"], r["name"]): r for r in mine if r["kind"] == "metric"}
        for task, found in evaluation.metrics.items():
            for name, estimate in found.items():
                row = metrics[task, name]
                value = math.nan if row["value"] is None else row["value"]
                assert value == pytest.approx(estimate.estimate, nan_ok=True)
                assert row["n"] == estimate.n
            assert (task, "skill") in metrics
        assert metrics["", "mean_skill"]["n"] == evaluation.mean_skill.n


def test_cases_are_joined_by_subject(finished: Study) -> None:
    rows = [r for r in finished.table().to_pylist() if r["kind"] == "case"]
    run = next(finished.of_arm("hard"))
    mine = {
        (r["task"], r["subject"], r["visit"], r["name"]): r["value"] for r in rows if r["run"] == run.name
    }
    answers = PartAnswers.read(run.folder / "answers.json")
    grade = answers.pooled["grade"]
    for k, (subject, visit) in enumerate(grade.ids):
        truth = mine["grade", subject, visit, "truth"]
        assert truth == (grade.value[k] if grade.known[k] else None)
        names = Evaluation.read(run.folder / "evaluation.json").tasks["grade"]["names"]
        assert sum(mine["grade", subject, visit, f"p.{c}"] for c in names) == pytest.approx(1)
    lesion = answers.voxel["lesion"]
    for (subject, visit), metrics in zip(lesion.ids, lesion.metrics, strict=True):
        assert mine["lesion", subject, visit, "dice"] == pytest.approx(metrics["dice"], nan_ok=True)
    by_arm = {a: {r["subject"] for r in rows if r["arm"] == a} for a in ("single", "hard")}
    assert by_arm["single"] == by_arm["hard"], "paired: the same subjects in every arm"


def test_costs_of_single_are_those_of_its_networks_together(finished: Study) -> None:
    rows = [r for r in finished.table().to_pylist() if r["kind"] == "cost"]
    costs = {(r["arm"], r["fold"], r["name"]): r["value"] for r in rows}
    assert costs["single", 0, "networks"] == 3
    assert costs["single", 0, "parameters"] > 1.5 * costs["hard", 0, "parameters"]
    for name in ("training_seconds", "seconds_per_step", "inference_ms", "peak_memory_mb", "disk_mb"):
        assert costs["hard", 0, name] > 0
    assert costs["hard", 0, "device_memory_mb"] is None


def test_pandas_reads_it(finished: Study) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.read_parquet(finished.results)
    wide = frame[frame["kind"] == "metric"].pivot_table(
        index=["task", "name"], columns="arm", values="value", aggfunc="mean"
    )
    assert {"single", "hard"} <= set(wide.columns)


def test_a_part_left_by_a_killed_command_is_no_result(finished: Study) -> None:
    before = finished.results.read_bytes()
    part = finished.folder / ".results.parquet.part"
    part.write_bytes(before[: len(before) // 2])
    assert Study.read(finished.folder).table().num_rows > 0
    ResultsWriter().write(finished)
    assert not part.exists()
    assert finished.results.read_bytes() == before
    finished.results.write_bytes(before[: len(before) // 2])
    with pytest.raises(PolytaskError, match="run the study's command again"):
        read_results(finished.results)


def test_without_a_finished_run_there_is_an_empty_table(tmp_path: Path, finished: Study) -> None:
    empty = Study(tmp_path, finished.design, finished.work, ())
    assert read_results(ResultsWriter().write(empty)).num_rows == 0


def test_unknown_is_null_whatever_stands_there() -> None:
    ids = (("a", ""), ("b", ""))
    known = np.array([True, False])
    pair = PooledAnswers(
        ids, {}, np.array([[9.0, 1.0], [9.0, 1.0]]), np.array([[True, True], [False, False]])
    )
    assert collect_truth_cells("survival", [], pair, 0) == {"time": 9.0, "event": 1.0}
    assert all(math.isnan(v) for v in collect_truth_cells("survival", [], pair, 1).values())
    flat = PooledAnswers(ids, {}, np.array([2, 2]), known)
    assert collect_truth_cells("ordinal", ["x", "y", "z"], flat, 0) == {"truth": 2.0}
    assert math.isnan(collect_truth_cells("ordinal", ["x", "y", "z"], flat, 1)["truth"])
    labels = PooledAnswers(
        ids, {}, np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[True, False], [True, True]])
    )
    half = collect_truth_cells("multilabel", ["x", "y"], labels, 0)
    assert half["truth.x"] == 1.0
    assert math.isnan(half["truth.y"])


def test_answers_are_named_after_their_classes() -> None:
    prediction = {"p": np.array([[0.25, 0.75]]), "risk": np.array([1.5])}
    assert collect_answer_cells(["x", "y"], prediction, 0) == {"p.x": 0.25, "p.y": 0.75, "risk": 1.5}
    assert collect_answer_cells([], {"p": np.array([[0.1, 0.2]])}, 0) == {"p.0": 0.1, "p.1": 0.2}
