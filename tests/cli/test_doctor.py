"""`polytask doctor`: a real run that is well, the same run made ill, bad input, JSON."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.journeys.run_cli import polytask, run_successfully

from polytask.cohort.phantom import make_phantom
from polytask.evaluation.doctor import FINDINGS, diagnose_run
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.training import train

SETTINGS = (
    "training.precision=float32",
    "training.threads=1",
    "training.epochs=5",
    "training.steps_per_epoch=24",
    "training.workers=0",
    "training.warmup=2",
    "training.rate=0.01",
    "training.batch=4",
    "training.balance.log_every=12",
    "images.scan.widths=[4,8,8]",
    "model.embedding=8",
)


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`work` with the runs `well` and `ill`: one task's loss divided by a hundredth of what it should be."""
    folder = tmp_path_factory.mktemp("doctor")
    make_phantom(folder / "cohort", 24, 24, 3, 2, 1, ("grade", "diameter"), 2)
    plan_into(folder / "cohort", folder / "work", folds=2, settings=SETTINGS, jobs=1)
    prepare(folder / "work", jobs=1)
    train(folder / "work", name="well", device="cpu")
    train(folder / "work", name="ill", overrides=["folds.0.tasks.diameter.constant=0.005"], device="cpu")
    return folder / "work"


@pytest.fixture
def work(trained_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained_once.parent, tmp_path / "t")
    return tmp_path / "t" / "work"


def test_a_healthy_run_gets_one_line(work: Path) -> None:
    assert (
        run_successfully("doctor", work / "runs/well").out
        == "nothing found (10 gradient records, 5 epochs)\n"
    )
    said = run_successfully("doctor", work / "runs/well", "--json").json
    assert said == {
        "run": str(work / "runs/well"),
        "looks": 10,
        "epochs": 5,
        "enough": True,
        "findings": [],
    }


def test_an_ill_run_is_told_with_numbers_and_a_remedy_that_works(work: Path) -> None:
    said = run_successfully("doctor", work / "runs/ill")
    first, second, third = said.out.splitlines()
    assert first == "scale: diameter"
    assert second.startswith("  the loss of diameter began at ")
    assert third.startswith("  → plan again")
    (finding,) = run_successfully("doctor", work / "runs/ill", "--json").json["findings"]
    assert finding["name"] == "scale"
    assert finding["tasks"] == ["diameter"]
    assert finding["evidence"]["constant"] == 0.005
    remedy = third.split("--set ")[1]
    run = train(work, name="mended", overrides=[remedy], steps=120, device="cpu")
    assert diagnose_run(run.folder) == []


def test_a_run_cut_short_and_a_line_cut_short_say_little(work: Path) -> None:
    log = work / "runs/well/metrics.jsonl"
    lines = [line for line in log.read_text().splitlines() if '"gradients"' in line][:2]
    log.write_text("\n".join(lines) + '\n{"step": 9, "gra')
    assert run_successfully("doctor", work / "runs/well").out == (
        "nothing found (2 gradient records, 0 epochs); too short to say much: train at least 4 epochs\n"
    )


def test_what_cannot_be_read_is_one_line(work: Path) -> None:
    run = work / "runs/well"
    assert "not a run" in polytask("doctor", work).complaint
    (run / "metrics.jsonl").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in polytask("doctor", run).complaint
    (run / "metrics.jsonl").unlink()
    assert "nothing was logged" in polytask("doctor", run).complaint
    assert "--resume well" in polytask("doctor", run).complaint
    (run / "plan.yaml").unlink()
    assert "plan.yaml" in polytask("doctor", run).complaint


def test_the_list_names_what_it_looks_for() -> None:
    said = json.loads(run_successfully("list", "doctor", "--json").out)
    assert list(said["doctor"]) == list(FINDINGS)
