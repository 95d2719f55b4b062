"""`polytask phantom`: what it prints and what it hands on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polytask.cli.phantom import phantom
from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError


def test_json_says_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phantom(tmp_path / "p", subjects=3, size=24, dims=2, tasks="grade, lesion", as_json=True)
    told = json.loads(capsys.readouterr().out)
    cohort = Cohort.read(tmp_path / "p")
    assert told == {
        "cohort": str(tmp_path / "p"),
        "subjects": 3,
        "cases": len(cohort.cases),
        "tasks": ["lesion", "grade"],
    }


def test_text_names_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phantom(tmp_path / "p", subjects=2, size=24, dims=2, visits=1)
    said = capsys.readouterr()
    assert f"next: polytask check {tmp_path / 'p'}" in said.out
    assert "writing" in said.err, "progress goes to stderr"


def test_slides_are_an_option(tmp_path: Path) -> None:
    phantom(tmp_path / "p", subjects=2, size=24, dims=2, visits=1, tasks="grade", slides=True)
    cohort = Cohort.read(tmp_path / "p")
    assert list(cohort.header.slides) == ["biopsy"]
    assert all(cohort.path(c.cells["biopsy"]).exists() for c in cohort.cases if "biopsy" in c.cells)


def test_wrong_task_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(PolytaskError, match="did you mean 'grade'"):
        phantom(tmp_path / "p", tasks="grad")
    assert not (tmp_path / "p").exists()
