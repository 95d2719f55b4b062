from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from polytask.study.conclusions.draw_conclusions import Conclusions
from tests.study.report.worlds import World, conclusions_of


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Conclusions:
    """Four arms, four tasks, three folds, three seeds, two sites."""
    return conclusions_of(World(), tmp_path_factory.mktemp("full"))


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Conclusions]:
    """A small study, two arms on two folds, but for what is said otherwise."""

    def made(**changes: object) -> Conclusions:
        small = {"arms": ("single", "hard"), "folds": (0, 1), "seeds": (0, 1)}
        return conclusions_of(World(**{**small, **changes}), tmp_path)  # type: ignore[arg-type]

    return made
