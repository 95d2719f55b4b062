from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from polytask.cohort.phantom import make_phantom
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.statistics import metric_values
from polytask.study import arm_timing
from polytask.study.study_folder import Study
from polytask.study.study_request import StudyRequest
from tests.journeys.run_cli import CommandResult, polytask

QUICK = (
    "training.precision=float32",
    "training.threads=1",
    "training.epochs=2",
    "training.steps_per_epoch=2",
    "training.workers=0",
    "training.warmup=1",
    "images.scan.widths=[4,8,8]",
    "model.embedding=8",
)
SMALL = StudyRequest(sharing=("single", "hard"), folds=2, seeds=1, steps=2, resamples=20, device="cpu")


@contextmanager
def shorten_studies() -> Iterator[None]:
    """A tenth of the resamples of a fold, and no more timed steps than needed: a study's conclusions take a second
    instead of four. None of the tests below this folder is about how exact the variance of pairs is (`tests/statistics`
    is)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric_values, "FOLD_RESAMPLES", 100)
        patch.setattr(arm_timing, "MAX_TIMED_TURNS", arm_timing.MIN_TIMED_TURNS)
        yield


@pytest.fixture(autouse=True)
def short_studies() -> Iterator[None]:
    """See `shorten_studies`."""
    with shorten_studies():
        yield


@pytest.fixture(scope="session")
def prepared_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cohort` and `work`: a small 2D phantom, planned in two folds and prepared."""
    folder = tmp_path_factory.mktemp("study")
    make_phantom(folder / "cohort", 14, 24, 3, 2, 1, ("lesion", "grade", "os"), 2)
    plan_into(folder / "cohort", folder / "work", folds=2, settings=QUICK, jobs=1)
    prepare(folder / "work", jobs=1)
    return folder


@pytest.fixture
def work(prepared_once: Path, tmp_path: Path) -> Path:
    """A copy that the test may spoil."""
    shutil.copytree(prepared_once, tmp_path / "t")
    return tmp_path / "t" / "work"


@dataclass(frozen=True)
class Walk:
    """A study begun, failing in one run, mended and gone on with, through the command line."""

    work: Path
    note: str
    failing: CommandResult
    ahead: CommandResult
    mended: CommandResult


@pytest.fixture(scope="session")
def walk(prepared_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    """`single` and `hard` on two folds, two runs at a time, in `work/studies/s`; one run's folder is taken at first."""
    with shorten_studies():
        return walk_through_study(prepared_once, tmp_path_factory.mktemp("walk"))


def walk_through_study(prepared_once: Path, folder: Path) -> Walk:
    """Begin the study, mend its failing run, and go on."""
    shutil.copytree(prepared_once, folder, dirs_exist_ok=True)
    work = folder / "work"
    study, foreign = work / "studies" / "s", work / "runs" / "s.hard-fold1-seed0"
    (foreign / "best").mkdir(parents=True)
    matrix = ("--sharing", "single,hard", "--folds", 2, "--seeds", 1, "--steps", 2, "--resamples", 20)
    failing = polytask("study", work, *matrix, "--device", "cpu", "--jobs", 2, "-o", study)
    note = (study / "failed" / "s.hard-fold1-seed0.txt").read_text()
    shutil.rmtree(foreign)
    ahead = polytask("study", study, "--dry-run", "--json")
    return Walk(work, note, failing, ahead, polytask("study", study, "--json"))


@pytest.fixture
def finished(walk: Walk, tmp_path: Path) -> Study:
    """A copy of the finished study."""
    shutil.copytree(walk.work.parent, tmp_path / "f")
    return Study.read(tmp_path / "f" / "work" / "studies" / "s")
