from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.clinic_cohort import train_with_clinic
from tests.journeys.ct_cohort import Journey, make_quick_settings, write_small_cohort
from tests.journeys.run_cli import run_successfully


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cohort`, `work` with the run `a`, and the exported `model`: 3D, one channel, three tasks."""
    folder = tmp_path_factory.mktemp("small")
    write_small_cohort(folder / "cohort")
    run_successfully("plan", folder / "cohort", "-o", folder / "work", "--folds", 2, *make_quick_settings())
    run_successfully("prepare", folder / "work")
    run_successfully("train", folder / "work", "--name", "a")
    run_successfully("export", folder / "work/runs/a", "-o", folder / "model")
    return folder


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Path:
    """A copy of it that the test may spoil."""
    shutil.copytree(trained_once, tmp_path / "t")
    return tmp_path / "t"


@pytest.fixture(scope="session")
def clinics_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`cohort` with a CT and a table, `work` with the evaluated run `a`, and the exported `model`."""
    return train_with_clinic(tmp_path_factory.mktemp("clinics"))


@pytest.fixture
def clinics(clinics_once: Path, tmp_path: Path) -> Path:
    """A copy of it that the test may spoil."""
    shutil.copytree(clinics_once, tmp_path / "c")
    return tmp_path / "c"


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """A small cohort without a work folder."""
    return write_small_cohort(tmp_path / "cohort")


def walk(folder: Path, dims: int, subjects: int, widths: str) -> Journey:
    """Phantom → check → plan → prepare → train two folds `hard` and one `single`."""
    cohort, work = folder / "cohort", folder / "work"
    run_successfully("phantom", cohort, "--subjects", subjects, "--size", 24, "--dims", dims, "--seed", 3)
    run_successfully("check", cohort)
    run_successfully("plan", cohort, "-o", work, "--folds", 2, *make_quick_settings(widths))
    run_successfully("prepare", work)
    run_successfully("train", work, "--fold", "all", "--name", "hard")
    run_successfully("train", work, "--sharing", "single", "--name", "single", "--tasks", "lesion,grade,os")
    return Journey(dims, cohort, work)


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """A 2D cohort, planned, prepared and trained."""
    return walk(tmp_path_factory.mktemp("flat"), 2, 14, "[4,8,8]")


@pytest.fixture(scope="session")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """A 3D cohort, planned, prepared and trained."""
    return walk(tmp_path_factory.mktemp("deep"), 3, 12, "[4,4,8]")


@pytest.fixture(params=["flat", "deep"])
def journey(request: pytest.FixtureRequest) -> Journey:
    """The 2D and the 3D cohort, one after the other."""
    found: Journey = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(words, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)
