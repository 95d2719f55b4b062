"""A severity that follows a diagnosis, from the table to predictions, report and promises."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.text_table import write_cases_table
from polytask.predict.promises import TRUST_FILE
from tests.journeys.run_cli import run_successfully

HEADER = """
polytask: 1
name: severities
inputs:
  clinic: {kind: table, columns: {age: {type: number}, marker: {type: number}}}
tasks:
  diagnosis: {kind: classification, classes: [benign, malignant]}
  severity: {kind: ordinal, order: [mild, severe], applies_when: {diagnosis: [malignant]}}
"""
QUICK = (
    *("training.precision=float32", "training.threads=1", "training.workers=0", "training.epochs=2"),
    *("training.steps_per_epoch=10", "training.rate=0.003"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("followed")
    random, rows = np.random.default_rng(0), []
    for k in range(60):
        age, marker = random.normal(size=2)
        ill = age + 0.3 * random.normal() > 0
        severity = ("mild", "severe")[int(marker > 0)] if ill else ""
        diagnosis = ("benign", "malignant")[int(ill)]
        cells = {"age": f"{50 + 10 * age:.1f}", "marker": f"{marker:.2f}"}
        rows.append({"subject": f"s{k:02d}", **cells, "diagnosis": diagnosis, "severity": severity})
    (folder / "cohort").mkdir()
    (folder / "cohort" / "cohort.yaml").write_text(HEADER)
    write_cases_table(folder / "cohort" / "cases.csv", list(rows[0]), rows)
    run_successfully("check", folder / "cohort")
    settings = [word for value in QUICK for word in ("--set", value)]
    said = run_successfully("plan", folder / "cohort", "-o", folder / "work", "--folds", 2, *settings)
    assert "applies where diagnosis is malignant" in " ".join(said.out.split())
    run_successfully("prepare", folder / "work")
    run_successfully("train", folder / "work", "--name", "a", "--device", "cpu")
    said = run_successfully("evaluate", folder / "work" / "runs" / "a", "--resamples", 20)
    assert "accuracy.end_to_end" in said.out
    assert "severity: the metrics are given that diagnosis is malignant; not applicable to" in said.out
    return folder / "work" / "runs" / "a"


def test_the_plan_says_that_answers_are_not_missing(run: Path) -> None:
    plan = " ".join((run / "plan.yaml").read_text().split())
    assert "applies_when: {diagnosis: [malignant]}" in plan
    assert "whose answers are not missing" in plan


def test_predictions_agree_with_the_diagnosis_beside_them(run: Path, tmp_path: Path) -> None:
    said = run_successfully("predict", run, run.parents[2] / "cohort", "-o", tmp_path / "out")
    assert "severity: not applicable unless diagnosis is malignant" in said.out + said.err
    with (tmp_path / "out" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["severity"] for row in rows if row["diagnosis"] == "benign"} == {"not applicable"}
    assert {row["severity"] for row in rows if row["diagnosis"] == "malignant"} <= {"mild", "severe"}
    assert all(float(row["severity.p.mild"]) >= 0 for row in rows), "given that it applies"
    # The table of one model is read as the answers of another reader.
    other = ("--answers", run / "predictions.csv")
    said = run_successfully("evaluate", run, "--resamples", 20, *other, "--json")
    assert "severity" in json.dumps(said.json["answers"]["predictions"])


def test_evaluation_and_report_tell_not_applicable_from_unknown(run: Path) -> None:
    content = json.loads((run / "evaluation.json").read_text())
    counts = content["counts"]["severity"]
    assert counts["known"] + counts["not_applicable"] == counts["items"]
    assert content["tasks"]["severity"]["applies_when"] == {"diagnosis": ["malignant"]}
    page = Path(run_successfully("report", run).out.split("report: ")[-1].strip()).read_text()
    assert "the metrics above are given that diagnosis is malignant; end to end" in page
    assert f"not applicable to {counts['not_applicable']}" in page


def test_promises_rest_on_cases_to_which_the_task_applies(run: Path, tmp_path: Path) -> None:
    said = run_successfully("trust", run, "--level", 0.8, "-o", tmp_path)
    assert "severity: on the cases to which it applies only: diagnosis is malignant" in said.out
    content = json.loads((tmp_path / TRUST_FILE).read_text())
    (member,) = content["tasks"]["severity"]["members"]
    known = json.loads((run / "evaluation.json").read_text())["counts"]["severity"]["known"]
    assert sum(map(len, member["scores"].values())) == known
    assert content["given"] == {"severity": "diagnosis is malignant"}
