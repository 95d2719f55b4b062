"""`polytask study`: looking ahead, bad input, progress; whole journeys are in tests/study."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.journeys.run_cli import polytask, run_successfully
from tests.study.conftest import QUICK

from polytask.cohort.phantom import make_phantom
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare

MATRIX = ("--sharing", "hard", "--folds", 2, "--seeds", 1, "--resamples", 20, "--device", "cpu")


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study-verb")
    make_phantom(folder / "cohort", 14, 24, 3, 2, 1, ("lesion", "grade"), 2)
    plan_into(folder / "cohort", folder / "work", folds=2, settings=QUICK, jobs=1)
    prepare(folder / "work", jobs=1)
    return folder


@pytest.fixture
def work(prepared_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(prepared_once, tmp_path / "t")
    return tmp_path / "t" / "work"


def test_a_dry_run_of_a_new_study_runs_nothing(work: Path) -> None:
    said = run_successfully("study", work, *MATRIX, "--minutes-per-run", 0.05, "--dry-run")
    assert "2 arms × 2 folds × 1 seed = 4 runs: 0 done, 4 to do" in said.out
    assert "minutes of arm hard, the slowest joint one" in said.out
    assert "GB for the remaining runs; nothing was run" in said.out
    assert not (work / "runs").exists()
    assert not (work / "studies").exists()


def test_nonsense_is_one_line_before_anything_runs(work: Path) -> None:
    for words, part in (
        (("study", work, "--sharing", "hrad"), "did you mean 'hard'"),
        (("study", work, "--folds", 5), "--folds 5"),
        (("study", work.parent / "cohort"), "-o STUDY"),
        (("study", work, "--backend", "nowhere"), "--backend nowhere"),
    ):
        assert part in polytask(*words).complaint


def test_a_cohort_is_planned_and_prepared_first(work: Path) -> None:
    small = ("--set", "images.scan.widths=[4,8,8]", "--set", "training.precision=float32")
    matrix = ("--folds", 2, "--seeds", 1, "--steps", 1, *small)
    words = ("study", work.parent / "cohort", *matrix, "--dry-run", "-o", work.parent / "s")
    said = run_successfully(*words, "--json")
    assert said.json["runs"] == 4
    assert "plan: " in said.err
    assert "prepare: " in said.err
    assert (work.parent / "s" / "work" / "store" / "store.json").exists()
    with (work.parent / "cohort" / "cases.csv").open("a") as table:
        table.write("extra" + "," * 9 + "\n")
    assert polytask(*words).code == 2
