"""What is no finite number never leaves as an answer: its cell is empty, it is named, and the exit code is 1."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from polytask.training.tensor_files import sha256
from tests.journeys.clinic_cohort import write_table
from tests.journeys.run_cli import polytask, run_successfully

ROWS = [
    {"subject": s, "scan.ct": f"files/{s}.nii.gz", "age": "61", "marker": "0.3", "smoker": "yes"}
    for s in ("01", "02")
]


def make_weights_nan(run: Path, part: str) -> None:
    """Make the weights of a part of the network NaN, and seal the file again."""
    path = run / "best/model.safetensors"
    weights = load_file(path)
    chosen = [k for k in weights if part in k]
    assert chosen
    save_file({k: torch.full_like(v, torch.nan) if k in chosen else v for k, v in weights.items()}, path)
    (path.parent / "model.sha256").write_text(sha256(path) + "\n")


@pytest.mark.parametrize(
    ("part", "task"), [("branches.members.@grade", "grade"), ("voxels.heads.members.@mask", "mask")]
)
def test_an_answer_that_is_not_finite_is_left_empty(
    clinics: Path, tmp_path: Path, part: str, task: str
) -> None:
    run, out = clinics / "work/runs/a", tmp_path / "out"
    make_weights_nan(run, part)
    said = polytask("predict", run, write_table(clinics, ROWS), "-o", out)
    assert said.code == 1
    assert f"{task} of subject 01 is not a finite number" in said.err
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["subject"] == "02"]
    cells = {k: v for row in rows for k, v in row.items() if v}
    assert not [k for k in cells if k.split(".")[0] == task]
    assert {"mask", "grade", "os.risk"} - {task} <= set(cells)
    assert "nan" not in (out / "predictions.csv").read_text().lower()
    assert not list(out.rglob("mask/*")) or task != "mask"
    found = polytask("predict", run, write_table(clinics, ROWS), "-o", tmp_path / "j", "--json").json
    assert f"{task} of subject 02" in found["not_finite"]


def test_evaluate_counts_them_as_not_answered(clinics: Path) -> None:
    run = clinics / "work/runs/a"
    make_weights_nan(run, "branches.members.@grade")
    found = run_successfully("evaluate", run, "--resamples", 20, "--json").json
    assert found["counts"]["grade"]["unanswered"] == len(found["subjects"])
    assert found["metrics"]["grade"]["auc"]["estimate"] is None
