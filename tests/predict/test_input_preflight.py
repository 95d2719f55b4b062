"""What would stop a prediction half way is said before it begins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import nibabel as nib
import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header import Header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.predict.input_preflight import ensure_inputs_readable
from polytask.predict.prediction_inputs import read_plain_folder

RAW = {
    "polytask": 1,
    "name": "x",
    "inputs": {"scan": {"kind": "image", "channels": {"t1": "MR", "t2": "MR"}}},
    "tasks": {"grade": {"kind": "ordinal", "order": ["a", "b"]}},
}
HEADER = Header.model_validate(RAW)


def plan(flags: bool) -> Plan:
    images = {"scan": SimpleNamespace(channel_flags=flags, roi=None)}
    return cast(Plan, SimpleNamespace(shared=SimpleNamespace(images=images)))


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Two whole cases."""
    for name in ("a_0000", "a_0001", "b_0000", "b_0001"):
        nib.save(nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), np.eye(4)), tmp_path / f"{name}.nii.gz")
    return read_plain_folder(tmp_path, HEADER)


def test_whole_cases_may_go(cohort: Cohort) -> None:
    ensure_inputs_readable(cohort, plan(False))


def test_a_missing_channel_is_refused_unless_the_plan_lets_it_go_missing(cohort: Cohort) -> None:
    (cohort.root / "b_0001.nii.gz").unlink()
    less = read_plain_folder(cohort.root, HEADER)
    ensure_inputs_readable(less, plan(True))
    with pytest.raises(PolytaskError, match=r"subject b: channel scan\.t2 is missing"):
        ensure_inputs_readable(less, plan(False))


def test_every_case_is_looked_at(cohort: Cohort) -> None:
    (cohort.root / "a_0000.nii.gz").write_text("no image")
    (cohort.root / "b_0001.nii.gz").unlink()
    with pytest.raises(PolytaskError, match=r"subject a: .*a_0000.*not a gzip file.*\(2 cases have"):
        ensure_inputs_readable(cohort, plan(True))


def test_a_whole_image_may_be_missing_where_there_are_other_inputs(cohort: Cohort) -> None:
    table = {"clinic": {"kind": "table", "columns": {"age": {"type": "number"}}}}
    both = HEADER.model_copy(
        update={"inputs": HEADER.inputs | Header.model_validate({**RAW, "inputs": table}).inputs}
    )
    empty = tuple(replace(case, cells={"age": "61"}) for case in cohort.cases)
    ensure_inputs_readable(replace(cohort, header=both, cases=empty), plan(False))
    with pytest.raises(PolytaskError, match=r"scan\.t1 is missing"):
        ensure_inputs_readable(replace(cohort, cases=empty), plan(False))
