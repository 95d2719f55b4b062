"""Everything that is written has the mode that the person's umask gives: weights too."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.journeys.cli import done
from tests.journeys.worlds import quick


@pytest.mark.parametrize("umask", [0o022, 0o027])
def test_files_and_folders_have_the_mode_of_the_umask(cohort: Path, tmp_path: Path, umask: int) -> None:
    work, run = tmp_path / "work", tmp_path / "work/runs/a"
    before = os.umask(umask)
    try:
        done("plan", cohort, "-o", work, "--folds", 2, *quick())
        done("prepare", work)
        done("train", work, "--name", "a", "--sharing", "hard")
        done("evaluate", run, "--resamples", 20)
        done("report", run)
        done("predict", run, cohort, "-o", tmp_path / "answers", "--probabilities")
        done("export", run, "-o", tmp_path / "model")
    finally:
        os.umask(before)
    wrong = {}
    for top in (work, tmp_path / "answers", tmp_path / "model"):
        for path in [top, *top.rglob("*")]:
            mode, full = stat.S_IMODE(path.stat().st_mode), 0o777 if path.is_dir() else 0o666
            if mode != full & ~umask:
                wrong[path.relative_to(tmp_path).as_posix()] = oct(mode)
    assert wrong == {}
