"""`evaluate` measures what an answer is worth without an input, and `predict` names that figure."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from polytask.evaluation.evaluation_result import Evaluation
from tests.journeys.clinic_cohort import write_rows_without_clinic, write_table
from tests.journeys.run_cli import run_successfully


def test_hidden_metrics_are_those_of_a_cohort_without_the_input(clinics: Path, tmp_path: Path) -> None:
    """Find the same metric in another way: empty the cells of the table, predict, ask scikit-learn for the AUC."""
    found = Evaluation.read(clinics / "work/runs/a/evaluation.json")
    assert set(found.hidden) == {"scan", "clinic"}
    assert found.needed == ()
    table = write_rows_without_clinic(clinics)
    run_successfully("predict", clinics / "work/runs/a", table, "-o", tmp_path / "out")
    rows = {r["subject"]: r for r in read_csv(tmp_path / "out/predictions.csv")}
    truth = {r["subject"]: r["grade"] for r in read_csv(clinics / "cohort/cases.csv")}
    p = np.array([float(rows[s]["grade.p.high"]) for s in found.subjects])
    y = np.array([truth[s] == "high" for s in found.subjects])
    assert found.hidden["clinic"]["grade"].estimate == pytest.approx(roc_auc_score(y, p), abs=1e-6)
    assert found.hidden["clinic"]["grade"].n == len(found.subjects)
    assert "mask" not in found.hidden["clinic"], "a mask does not read the table"
    assert math.isnan(found.hidden["scan"]["mask"].estimate)
    assert found.hidden["scan"]["mask"].n == 0


def test_predict_names_the_figure(clinics: Path, tmp_path: Path) -> None:
    found = Evaluation.read(clinics / "work/runs/a/evaluation.json")
    without, plain = found.hidden["clinic"]["grade"], found.primary("grade")
    rows = [{"subject": "n1", "scan.ct": "files/01.nii.gz"}]
    for k, source in enumerate((clinics / "work/runs/a", clinics / "model")):
        said = run_successfully("predict", source, write_table(clinics, rows), "-o", tmp_path / str(k)).out
        wanted = (
            f"grade AUC without clinic: {without.estimate:.2f} (n {without.n}), with it {plain.estimate:.2f}"
        )
        assert f"input clinic unknown in 1 of 1 case; held-out {wanted}" in said
    described = json.loads((clinics / "model/model.json").read_text())["members"][0]
    assert set(described["hidden"]) == {"scan", "clinic"}


def test_report_and_evaluate_show_them(clinics: Path) -> None:
    run = clinics / "work/runs/a"
    said = run_successfully("evaluate", run, "--resamples", 20).out
    assert re.search(
        r"Without clinic: grade auc 0\.\d+ \(n \d+; with it 0\.\d+\)|Without clinic: grade auc 1", said
    )
    assert "mask cannot be predicted" in said
    run_successfully("report", run)
    page = (run / "report.html").read_text()
    assert "Without an input" in page
    assert "without clinic" in page


def test_it_can_be_switched_off(clinics: Path, tmp_path: Path) -> None:
    run = clinics / "work/runs/a"
    found = run_successfully("evaluate", run, "--resamples", 20, "--no-hidden", "--json").json
    assert found["hidden"] == {}
    said = run_successfully(
        "predict",
        run,
        write_table(clinics, [{"subject": "n1", "scan.ct": "files/01.nii.gz"}]),
        "-o",
        tmp_path / "o",
    )
    assert "input clinic unknown in 1 of 1 case; the held-out metrics do not apply" in said.out


def test_one_input_costs_nothing(trained: Path) -> None:
    found = run_successfully("evaluate", trained / "work/runs/a", "--resamples", 20, "--json").json
    assert found["hidden"] == {}
    assert found["needed"] == []


def read_csv(path: Path) -> list[dict[str, str]]:
    import csv

    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
