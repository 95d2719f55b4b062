"""`polytask plan` from a user's hands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polytask.cli import app
from polytask.cohort.phantom.generator import make_phantom
from polytask.errors import PolytaskError
from polytask.plan import machine
from polytask.plan.machine import GIB, Machine


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """No probing in tests."""
    monkeypatch.setattr(
        machine, "_detect_machine_once", lambda: Machine(2, 24 * GIB, precision="bf16", gain=1.9)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest phantom."""
    return make_phantom(tmp_path_factory.mktemp("cli_plan") / "phantom", subjects=12, size=24, seed=0)


def test_prints_a_page_and_writes_the_plan(folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["plan", str(folder), "-o", str(tmp_path / "w"), "--folds", "3"])
    assert done.exit_code == 0, done.output
    assert "3 folds by subject" in done.stdout
    assert "next: polytask prepare" in done.stdout
    assert (tmp_path / "w" / "plan.yaml").exists()


def test_json_settings_sites_and_memory(folder: Path, tmp_path: Path) -> None:
    words = [
        "--split-by",
        "site",
        "--memory",
        "8",
        "--set",
        "training.epochs=4",
        "--set",
        "training.batch=3",
        "--json",
    ]
    done = CliRunner().invoke(app, ["plan", str(folder), "-o", str(tmp_path / "w"), *words])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["shared"]["training"]["epochs"], found["shared"]["training"]["batch"]) == (4, 3)
    assert len(found["folds"]) == 2


def test_plans_for_another_machine(folder: Path, tmp_path: Path) -> None:
    card = {
        "cores": 16,
        "memory": 128 * GIB,
        "device": "cuda",
        "device_memory": 80 * GIB,
        "precision": "bf16",
    }
    (tmp_path / "card.json").write_text(json.dumps(card))
    words = ["plan", str(folder), "-o", str(tmp_path / "w"), "--machine", str(tmp_path / "card.json")]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["shared"]["images"]["scan"]["widths"][0] == 32
    (tmp_path / "card.json").write_text("nonsense")
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, PolytaskError)
    assert "card.json" in str(refused)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "training.epoch=4"], "did you mean 'epochs'"),
        (["--split-by", "hospital"], "expected subject or site"),
        (["--splits", "nothing.json"], "no such file"),
        (["--memory", "nan"], "--memory nan: expected GB of memory"),
        (["--folds", "11"], "subjects outside the test part for 11 folds"),
    ],
)
def test_bad_words_are_one_line(folder: Path, tmp_path: Path, words: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["plan", str(folder), "-o", str(tmp_path / "w"), *words])
    assert isinstance(done.exception, PolytaskError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)
    assert not (tmp_path / "w" / "plan.yaml").exists()


def test_an_empty_folder(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["plan", str(tmp_path), "-o", str(tmp_path / "w")])
    assert isinstance(done.exception, PolytaskError)
    assert not (tmp_path / "w").exists()
