from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.cohort.splits import make_splits
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.plan_file import set_values, write_plan
from polytask.plan.planner import make_plan
from polytask.prepare.store_builder import prepare

QUICK = (
    "training.precision=float32",
    "training.threads=1",
    "training.epochs=4",
    "training.steps_per_epoch=4",
    "training.tune_every=2",
    "training.workers=0",
    "training.warmup=2",
    "images.scan.widths=[8,16,16]",
    "model.embedding=16",
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A planned and prepared 2D phantom with all task kinds."""
    folder = tmp_path_factory.mktemp("training")
    make_phantom(folder / "cohort", subjects=14, size=24, dims=2, seed=3)
    cohort = Cohort.read(folder / "cohort")
    work = folder / "work"
    work.mkdir()
    splits = make_splits(cohort, folds=3, seed=0)
    splits.write(work / "splits.json")
    plan = set_values(make_plan(cohort, make_fingerprint(cohort), splits), QUICK)
    write_plan(plan, work)
    prepare(work, jobs=1)
    return work


@pytest.fixture
def work(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared work folder without runs."""
    shutil.copytree(prepared.parent / "cohort", tmp_path / "cohort")
    shutil.copytree(prepared, tmp_path / "work", ignore=shutil.ignore_patterns("runs"))
    return tmp_path / "work"
