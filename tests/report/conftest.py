from __future__ import annotations

from pathlib import Path

import pytest

from polytask.report.pictures_by_form import PICTURES_BY_ANSWER_FORM
from polytask.report.report_material import ReportMaterial
from tests.report.worlds import finished, material_of


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> ReportMaterial:
    """A 2D phantom run."""
    return material_of(finished(tmp_path_factory.mktemp("flat"), dims=2))


@pytest.fixture(scope="session")
def solid(tmp_path_factory: pytest.TempPathFactory) -> ReportMaterial:
    """A 3D phantom run."""
    return material_of(finished(tmp_path_factory.mktemp("solid"), dims=3))


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without drawings, which take most of their time: for tests of words and order."""
    monkeypatch.setattr("polytask.report.training_plots.make_training_pictures", lambda material: [])
    monkeypatch.setattr("polytask.report.run_page.select_patients", lambda material: [])
    for kind in PICTURES_BY_ANSWER_FORM:
        monkeypatch.setitem(PICTURES_BY_ANSWER_FORM, kind, lambda material, name: [])


@pytest.fixture
def voxel_pictures_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages with the pictures of masks and doses alone, of which each shows a patient."""
    monkeypatch.setattr("polytask.report.training_plots.make_training_pictures", lambda material: [])
    for form in set(PICTURES_BY_ANSWER_FORM) - {"masks", "field"}:
        monkeypatch.setitem(PICTURES_BY_ANSWER_FORM, form, lambda material, name: [])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder of its own."""
    return finished(tmp_path, dims=2).folder
