"""Spoilt cohorts through the command line: one clear line or list, no traceback, nothing half-written."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from polytask.images.formats import write_image_file
from polytask.images.volume import Volume
from tests.images.dicoms import series
from tests.journeys.ct_cohort import (
    make_ct_image,
    make_label_image,
    make_quick_settings,
    read_cohort_rows,
    set_cell,
    write_rows,
)
from tests.journeys.run_cli import hash_folder_files, polytask, run_successfully

IMAGE, MASK = "files/02_baseline.nii.gz", "files/02_baseline_mask.nii.gz"
"""Files of subject 02, whose row is line 4 of the table."""


def write_empty_image(cohort: Path) -> None:
    for path in sorted(cohort.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def misspelt_key(cohort: Path) -> None:
    header = cohort / "cohort.yaml"
    header.write_text(header.read_text().replace("horizons", "horizon"))


def duplicated_visit(cohort: Path) -> None:
    rows = read_cohort_rows(cohort)
    write_rows(cohort, [*rows, rows[2]])


def other_shape(cohort: Path) -> None:
    write_image_file(
        cohort / MASK, Volume(np.zeros((1, 12, 10, 9), np.uint8), make_ct_image(0, (12, 10, 9)).grid)
    )


def label_7(cohort: Path) -> None:
    mask = make_label_image(2)
    mask.array[0, 0, 0, 0] = 7
    write_image_file(cohort / MASK, mask)


def truncated(cohort: Path) -> None:
    path = cohort / IMAGE
    path.write_bytes(path.read_bytes()[:900])


def lying_header(cohort: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((1500, 1500, 1500))
    header.set_data_dtype(np.float64)
    header["magic"], header["vox_offset"] = b"n+1\0", 352
    header.set_sform(np.eye(4), 1)
    (cohort / IMAGE).write_bytes(gzip.compress(header.binaryblock + bytes(68)))


def text_file(cohort: Path) -> None:
    (cohort / IMAGE).write_text("dear colleague, the scans are on the old server\n" * 9)


def two_series(cohort: Path) -> None:
    series(cohort / "files/dcm", make_ct_image(1), "a", uid="1.2.3")
    series(cohort / "files/dcm", make_ct_image(2), "b", uid="1.2.4")
    set_cell(cohort, 2, "scan.ct", "files/dcm")


def event_yes(cohort: Path) -> None:
    set_cell(cohort, 2, "os_event", "yes")


def class_with_one_case(cohort: Path) -> None:
    for row in range(len(read_cohort_rows(cohort))):
        set_cell(cohort, row, "grade", "high" if row == 3 else "low")


SPOILED_COHORTS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "empty folder": (write_empty_image, ("cohort.yaml", "no such file", "cases.csv", "polytask import")),
    "misspelt key": (misspelt_key, ("cohort.yaml", "tasks.os.horizon", "did you mean 'horizons'")),
    "duplicated visit": (duplicated_visit, ("cases.csv", "row 11", "02", "baseline", "row 4", "keep one")),
    "other shape": (other_shape, (MASK, "12×10×9", "12×10×8", "align: resample")),
    "label 7": (label_7, ("02_baseline_mask.nii.gz", "7", "02", "labels")),
    "truncated": (truncated, (IMAGE, "truncated", "copy the file again")),
    "lying header": (lying_header, (IMAGE, "1500×1500×1500", "27.0 GB", "POLYTASK_MAX_IMAGE_BYTES")),
    "text file": (text_file, (IMAGE, "not a gzip file", "export it again")),
    "two series": (two_series, ("files/dcm", "1.2.3 (8 files)", "1.2.4", "#SeriesInstanceUID")),
    "event yes": (event_yes, ("cases.csv", "row 4", "02", "os_event", "'yes'", "0 = censored")),
    "class with one case": (class_with_one_case, ("'grade'", "'high'", "1", "add more")),
}
"""What → (how, the words that a person needs)."""
FOUND_ONLY_BY_PREPARE = ("label 7",)
"""`plan` measures the training part alone; the others are met by every verb."""


@pytest.mark.parametrize("what", SPOILED_COHORTS)
def test_check_lists_it(cohort: Path, what: str) -> None:
    spoil, words = SPOILED_COHORTS[what]
    spoil(cohort)
    before = hash_folder_files(cohort)
    said = polytask("check", cohort)
    assert said.code == 1
    assert said.err.strip() == ""
    found = [line for line in said.out.splitlines() if line.startswith("error: ")]
    assert len(found) == 1, said.out
    assert [w for w in words if w not in found[0]] == [], found[0]
    assert "→" in found[0], "what to do"
    listed = polytask("check", cohort, "--json")
    assert (listed.code, listed.json["errors"]) == (1, 1)
    assert hash_folder_files(cohort) == before


@pytest.mark.parametrize("what", SPOILED_COHORTS)
def test_plan_or_prepare_refuses_it(cohort: Path, tmp_path: Path, what: str) -> None:
    spoil, words = SPOILED_COHORTS[what]
    spoil(cohort)
    before, work = hash_folder_files(cohort), tmp_path / "work"
    said = polytask("plan", cohort, "-o", work, "--folds", 2, *make_quick_settings())
    if what in FOUND_ONLY_BY_PREPARE and said.code == 0:
        said = polytask("prepare", work)
        assert not (work / "store/store.json").exists()
        assert not [p for p in hash_folder_files(work) if ".half" in p]
    else:
        assert [p for p in hash_folder_files(work) if "fingerprint" not in p] == []
    assert said.code == 2
    complaint = said.complaint.replace("(12, 10, 9)", "12×10×9").replace("(12, 10, 8)", "12×10×8")
    assert [w for w in words[:-1] if w not in complaint] == [], complaint
    assert hash_folder_files(cohort) == before


def test_every_problem_is_listed_at_once(cohort: Path) -> None:
    for spoil in (label_7, truncated, event_yes):
        spoil(cohort)
    set_cell(cohort, 5, "grade", "middling")
    said = polytask("check", cohort, "--json")
    codes = {p["code"]: p for p in said.json["problems"] if p["level"] == "error"}
    assert set(codes) == {"wrong-label", "unreadable", "odd-event", "unknown-class"}
    assert all(
        p["file"] and p["row"] and p["subject"] and p["column"] and p["remedy"] for p in codes.values()
    )


def test_a_fold_whose_train_part_has_no_event(cohort: Path, tmp_path: Path) -> None:
    for row, cells in enumerate(read_cohort_rows(cohort)):
        set_cell(cohort, row, "os_event", str(int(cells[0] in ("02", "03"))))
    fold = {"train": ["01", "04", "05", "06"], "tune": ["07"], "held_out": ["02", "03"]}
    splits = tmp_path / "mine.json"
    splits.write_text(json.dumps({"polytask": 1, "scheme": "subject", "seed": 0, "folds": [fold]}))
    said = polytask("plan", cohort, "-o", tmp_path / "work", "--splits", splits)
    assert [w for w in ("fold 0", "train part", "event", "'os'", "2 of 7") if w not in said.complaint] == []
    assert not (tmp_path / "work").exists()


def test_importers_of_nothing(tmp_path: Path) -> None:
    for kind, given in (
        ("nnunet", tmp_path),
        ("decathlon", tmp_path / "d.json"),
        ("table", tmp_path / "t.csv"),
    ):
        complaint = polytask("import", kind, given, "-o", tmp_path / "out").complaint
        assert "no such file" in complaint.lower()
        assert not (tmp_path / "out").exists()


def test_warnings_alone_are_no_failure(cohort: Path) -> None:
    said = run_successfully("check", cohort)
    assert "0 errors" in said.out
    assert "warning: " in said.out
