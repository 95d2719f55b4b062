"""Everything that is written has the mode that the person's umask gives: weights too."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.journeys.ct_cohort import make_quick_settings
from tests.journeys.run_cli import run_successfully


@pytest.mark.parametrize("umask", [pytest.param(0o022, marks=pytest.mark.slow), 0o027])
def test_files_and_folders_have_the_mode_of_the_umask(cohort: Path, tmp_path: Path, umask: int) -> None:
    work, run = tmp_path / "work", tmp_path / "work/runs/a"
    before = os.umask(umask)
    try:
        run_successfully("plan", cohort, "-o", work, "--folds", 2, *make_quick_settings())
        run_successfully("prepare", work)
        run_successfully("train", work, "--name", "a", "--sharing", "hard")
        run_successfully("evaluate", run, "--resamples", 20)
        run_successfully("report", run)
        run_successfully("predict", run, cohort, "-o", tmp_path / "answers", "--probabilities")
        run_successfully("export", run, "-o", tmp_path / "model")
    finally:
        os.umask(before)
    wrong = {}
    for top in (work, tmp_path / "answers", tmp_path / "model"):
        for path in [top, *top.rglob("*")]:
            mode, full = stat.S_IMODE(path.stat().st_mode), 0o777 if path.is_dir() else 0o666
            if mode != full & ~umask:
                wrong[path.relative_to(tmp_path).as_posix()] = oct(mode)
    assert wrong == {}
