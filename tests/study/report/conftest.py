from __future__ import annotations

import base64
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


@pytest.fixture
def blank_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that hold nothing: drawing takes most of a page's time, and these tests are about words."""
    blank = "data:image/svg+xml;base64," + base64.b64encode(b"<svg/>").decode()
    for module in ("arm_curves", "forest_plot", "affinity_matrices", "gain_scatter", "lookahead_section"):
        monkeypatch.setattr(f"polytask.study.report.{module}.encode_svg", lambda drawn: blank)
