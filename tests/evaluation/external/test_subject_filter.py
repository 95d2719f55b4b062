"""Whom a model can read at another hospital."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.evaluation.external.subject_filter import (
    ensure_mask_files_exist,
    find_unreadable_subjects,
    leave_out_subjects,
)
from polytask.evaluation.external.translate_cohort import translate_cohort
from tests.evaluation.external.worlds import OURS, ROWS, THEIRS, cohort_of, matched

SCAN = {"kind": "image", "channels": {"ct": "CT", "pet": "PET"}}
TABLE = {"kind": "table", "columns": {"age": {"type": "number"}}}


def plan_with(flags: bool) -> Any:
    return SimpleNamespace(shared=SimpleNamespace(images={"scan": SimpleNamespace(channel_flags=flags)}))


def make_cohort(folder: Path, table: bool, visits: bool = False) -> Cohort:
    """Both channels of a, one of b, none of c."""
    says = {"polytask": 1, "name": "c", "inputs": {"scan": SCAN, **({"clinic": TABLE} if table else {})}}
    says |= {"tasks": OURS["tasks"], **({"visits": ["t0"]} if visits else {})}
    cells = {"a": ("ct", "pet"), "b": ("ct",), "c": ()}
    rows = [{"subject": s, **{f"scan.{c}": "x.nii.gz" for c in cs}} for s, cs in cells.items()]
    rows = [{**row, "visit": "t0"} for row in rows] if visits else rows
    return cohort_of(folder, says, rows)


def test_a_channel_is_missed_by_a_model_that_was_never_without_it(tmp_path: Path) -> None:
    assert find_unreadable_subjects(make_cohort(tmp_path / "a", False), plan_with(False)) == {
        "b": "no scan.pet",
        "c": "no scan.ct",
    }
    assert find_unreadable_subjects(make_cohort(tmp_path / "b", False), plan_with(True)) == {}


def test_a_whole_image_may_be_missing_where_there_is_another_input(tmp_path: Path) -> None:
    assert find_unreadable_subjects(make_cohort(tmp_path, True), plan_with(False)) == {"b": "no scan.pet"}


def test_the_visit_is_told(tmp_path: Path) -> None:
    found = find_unreadable_subjects(make_cohort(tmp_path, False, visits=True), plan_with(False))
    assert found["b"] == "no scan.pet at t0"


def test_subjects_are_left_out(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, False)
    assert list(leave_out_subjects(cohort, {"b"}).subjects) == ["a", "c"]
    assert list(leave_out_subjects(cohort, []).subjects) == ["a", "b", "c"]


def test_masks_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match=r"row 2, subject a, tumour: .*ma\.nii\.gz is not there"):
        ensure_mask_files_exist(translate_cohort(matched(cohort_of(tmp_path))).cohort)
    for name in ("ma.nii.gz", "mb.nii.gz", "da.nii.gz"):
        (tmp_path / name).touch()
    ensure_mask_files_exist(translate_cohort(matched(cohort_of(tmp_path, THEIRS, ROWS))).cohort)
