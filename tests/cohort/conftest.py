"""The small world, written once and copied for each test that breaks it."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest

from tests.cohort.worlds import World, make_world


@pytest.fixture(scope="session")
def _sound(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world") / "sound")


@pytest.fixture
def world(_sound: World, tmp_path: Path) -> World:
    """A copy that may be broken."""
    shutil.copytree(_sound.folder, tmp_path / "world")
    return World(tmp_path / "world", copy.deepcopy(_sound.header), copy.deepcopy(_sound.rows))
