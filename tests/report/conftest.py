from __future__ import annotations

from pathlib import Path

import pytest

from polytask.report.kinds import PICTURES
from polytask.report.material import Material
from tests.report.worlds import finished, material_of


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A 2D phantom run."""
    return material_of(finished(tmp_path_factory.mktemp("flat"), dims=2))


@pytest.fixture(scope="session")
def solid(tmp_path_factory: pytest.TempPathFactory) -> Material:
    """A 3D phantom run."""
    return material_of(finished(tmp_path_factory.mktemp("solid"), dims=3))


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without drawings, which take most of their time: for tests of words and order."""
    monkeypatch.setattr("polytask.report.curves.pictures", lambda material: [])
    monkeypatch.setattr("polytask.report.page.patients", lambda material: [])
    for kind in PICTURES:
        monkeypatch.setitem(PICTURES, kind, lambda material, name: [])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder of its own."""
    return finished(tmp_path, dims=2).folder
