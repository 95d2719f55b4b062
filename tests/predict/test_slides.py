"""What would stop a prediction from slides is said before it begins."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import read_header
from polytask.errors import PolytaskError
from polytask.plan.plan import Plan
from polytask.predict.inputs import read_inputs
from polytask.predict.ready import ensure_ready
from tests.images.slide_cohorts import write_cohort

PLAN = cast(Plan, SimpleNamespace(shared=SimpleNamespace(images={})))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("slides") / "cohort")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A cohort to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "cohort"))


def test_slides_that_cannot_be_read_are_named(folder: Path) -> None:
    ensure_ready(Cohort.read(folder), PLAN)
    (folder / "s01.tif").write_bytes(b"no tiff")
    (folder / "s02.pt").unlink()
    with pytest.raises(PolytaskError, match=r"subject s01, visit first: .*s01\.tif: .*\(3 cases have"):
        ensure_ready(Cohort.read(folder), PLAN)


def test_a_table_without_any_slide_is_refused(folder: Path) -> None:
    header = read_header(folder / "cohort.yaml")
    table = folder / "cases.csv"
    assert len(read_inputs(table, header).cases) == 24
    lines = [re.sub(r"biopsy|bag", "x", table.read_text().splitlines()[0]).replace("x,x", "x,y")]
    table.write_text("\n".join([*lines, *table.read_text().splitlines()[1:]]))
    with pytest.raises(PolytaskError, match="no column biopsy or bag"):
        read_inputs(table, header)
