"""A model that was not given an input says so: in a line, in the table, in JSON; `--strict` refuses."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.journeys.clinic_cohort import write_table
from tests.journeys.run_cli import hash_folder_files, polytask, run_successfully


def read_prediction_rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def images_alone(clinics: Path, tmp_path: Path) -> Path:
    """A plain folder of three scans."""
    folder = tmp_path / "plain"
    folder.mkdir()
    for k in (1, 2, 3):
        (folder / f"p{k}.nii.gz").write_bytes((clinics / f"cohort/files/{k:02d}.nii.gz").read_bytes())
    return folder


def test_a_table_that_was_not_given_is_said(clinics: Path, images_alone: Path, tmp_path: Path) -> None:
    said = run_successfully("predict", clinics / "model", images_alone, "-o", tmp_path / "out")
    assert "input clinic unknown in 3 of 3 cases; " in said.out
    assert {row["inputs_missing"] for row in read_prediction_rows(tmp_path / "out")} == {"clinic"}
    found = run_successfully(
        "predict", clinics / "work/runs/a", images_alone, "-o", tmp_path / "json", "--json"
    ).json
    assert found["inputs_missing"] == {"clinic": 3}
    assert any("input clinic unknown in 3 of 3 cases" in note for note in found["notes"])


def test_strict_refuses_before_anything_is_written(clinics: Path, images_alone: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    complaint = polytask("predict", clinics / "model", images_alone, "-o", out, "--strict").complaint
    assert "subject p1: clinic unknown" in complaint
    assert "(3 of 3 lack something)" in complaint
    assert not out.exists()
    whole = write_table(clinics, [COMPLETE_ROW])
    run_successfully("predict", clinics / "model", whole, "-o", out, "--strict")


COMPLETE_ROW = {"subject": "n1", "scan.ct": "files/01.nii.gz", "age": "61", "marker": "0.3", "smoker": "yes"}


def test_what_is_known_in_part_is_said_with_how_much(clinics: Path, tmp_path: Path) -> None:
    rows = [
        COMPLETE_ROW,
        {**COMPLETE_ROW, "subject": "n2", "age": "", "smoker": ""},
        {**COMPLETE_ROW, "subject": "n3", "age": ""},
    ]
    said = run_successfully("predict", clinics / "model", write_table(clinics, rows), "-o", tmp_path / "out")
    assert "input clinic known in part in 2 of 3 cases: up to 2 of 3 columns unknown" in said.out
    assert [row["inputs_missing"] for row in read_prediction_rows(tmp_path / "out") if row["grade"]] == [
        "",
        "clinic(2 of 3 columns)",
        "clinic(1 of 3 columns)",
    ]


def test_a_whole_case_is_not_called_incomplete(clinics: Path, tmp_path: Path) -> None:
    said = run_successfully(
        "predict", clinics / "model", write_table(clinics, [COMPLETE_ROW]), "-o", tmp_path / "out"
    )
    assert "unknown" not in said.out
    assert {row["inputs_missing"] for row in read_prediction_rows(tmp_path / "out")} == {""}


def test_no_task_may_be_called_as_the_column(clinics: Path, tmp_path: Path) -> None:
    header = (
        (clinics / "cohort/cohort.yaml")
        .read_text()
        .replace("  grade:", "  inputs_missing:\n    column: grade")
    )
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    (cohort / "cohort.yaml").write_text(header)
    (cohort / "cases.csv").write_bytes((clinics / "cohort/cases.csv").read_bytes())
    assert "'inputs_missing' is a column with a fixed meaning" in polytask("check", cohort).out


def test_an_earlier_prediction_is_replaced_only_when_asked(clinics: Path, tmp_path: Path) -> None:
    model, out = clinics / "model", tmp_path / "out"
    one, two = COMPLETE_ROW, {**COMPLETE_ROW, "subject": "n2"}
    run_successfully("predict", model, write_table(clinics, [one, two]), "-o", out)
    before = hash_folder_files(out)
    table = write_table(clinics, [one])
    assert "--overwrite" in polytask("predict", model, table, "-o", out).complaint
    assert hash_folder_files(out) == before
    run_successfully("predict", model, table, "-o", out, "--overwrite")
    assert {row["subject"] for row in read_prediction_rows(out)} == {"n1"}
    assert {p.name.partition(".")[0] for p in (out / "predictions/mask").iterdir()} == {"n1"}
    (out / "predictions/mask/mine.txt").write_text("notes")
    before = hash_folder_files(out)
    assert "mine.txt" in polytask("predict", model, table, "-o", out, "--overwrite").complaint
    assert hash_folder_files(out) == before


@pytest.mark.parametrize("place", ["cohort", "work", "work/runs/a", "model"])
def test_other_folders_are_never_replaced(clinics: Path, place: str) -> None:
    table = write_table(clinics, [COMPLETE_ROW])
    before = hash_folder_files(clinics)
    complaint = polytask("predict", clinics / "model", table, "-o", clinics / place, "--overwrite").complaint
    assert "not part of a prediction" in complaint
    assert hash_folder_files(clinics) == before
