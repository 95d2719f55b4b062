"""A tiny run from training to report, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from polytask.cli import app
from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.cohort.splits import Splits, make_splits
from polytask.errors import PolytaskError
from polytask.evaluation import compare_runs, evaluate
from polytask.plan import make_plan, write_plan
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.machine import Machine
from polytask.plan.plan_settings import set_values
from polytask.prepare.store_builder import prepare
from polytask.training.run import train

QUICK = (
    "training.threads=1",
    "training.epochs=2",
    "training.steps_per_epoch=3",
    "training.tune_every=1",
    "images.scan.widths=[8,8,16]",
    "model.embedding=16",
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("end")
    place = make_phantom(folder / "cohort", subjects=15, size=24, dims=2, seed=1)
    with (place / "cohort.yaml").open("a") as header:
        header.write("strata: {age: [60]}\n")
    cohort = Cohort.read(place)
    work = folder / "work"
    work.mkdir()
    splits = make_splits(cohort, folds=3)
    splits.write(work / "splits.json")
    plan = make_plan(cohort, make_fingerprint(cohort, 1), splits, machine=Machine(1, 8 * 2**30))
    write_plan(set_values(plan, QUICK), work)
    prepare(work, 1)
    train(work, name="hard", device="cpu")
    train(work, name="again", seed=1, device="cpu")
    train(work, name="other", fold=1, device="cpu")
    return work


def call(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_evaluate_through_the_command_line(work: Path) -> None:
    run = work / "runs" / "hard"
    said = json.loads(call("evaluate", str(run), "--resamples", "30", "--json"))
    assert said == json.loads((run / "evaluation.json").read_text())
    fold = Splits.read(work / "splits.json").folds[0]
    assert said["subjects"] == list(fold.held_out)
    assert (said["part"], said["test_touched"]) == ("held_out", 0)
    assert set(said["metrics"]) == set(said["skill"]) == set(said["counts"])
    assert set(said["metrics"]["lesion"]["dice"]) == {"estimate", "low", "high", "n", "reason"}
    assert {"predictions.csv", "cases.csv", "answers.json"} <= {p.name for p in run.iterdir()}
    assert list((run / "predictions" / "lesion").iterdir())
    assert set(said["strata"]["age"]) == {"< 60", "≥ 60"}
    assert sum(s["subjects"] for s in said["strata"]["age"].values()) == len(fold.held_out)
    shown = call("evaluate", str(run), "--resamples", "30", "--all")
    assert "by age" in shown
    assert "age ≥ 60" in shown
    assert "mean skill" in shown
    assert "95 % interval" in shown


def test_the_test_part_is_noted_and_kept_apart(work: Path) -> None:
    run = work / "runs" / "again"
    assert evaluate(run, "test", resamples=5).test_touched == 1
    assert evaluate(run, "test", resamples=5).test_touched == 2
    assert (run / "test" / "evaluation.json").exists()
    assert not (run / "evaluation.json").exists()
    found = evaluate(run, "tune", resamples=5)
    assert found.subjects == Splits.read(work / "splits.json").folds[0].tune
    assert (run / "tune" / "cases.csv").exists()
    (work / "test_log.jsonl").unlink()


def test_compare_and_report(work: Path, tmp_path: Path) -> None:
    runs = work / "runs"
    page, picture = tmp_path / "page.html", tmp_path / "picture.png"
    words = ("--against", str(runs / "again"), "-o", str(page), "--picture", str(picture))
    said = json.loads(call("report", str(runs / "hard"), *words, "--json"))
    assert said["report"] == str(page)
    assert "hard against again" in page.read_text()
    assert "By age" in page.read_text()
    assert picture.stat().st_size > 10_000
    (found,) = compare_runs(runs / "hard", [runs / "again"], resamples=20)
    assert found.costs[0].parameters == found.costs[1].parameters > 1000
    assert found.costs[0].steps == 6
    assert set(found.tasks) == set(said["comparisons"][0]["tasks"])
    evaluate(runs / "other", resamples=5)
    with pytest.raises(PolytaskError, match="fold 1 against fold 0"):
        compare_runs(runs / "hard", [runs / "other"])


def test_a_changed_cohort_is_refused(work: Path, tmp_path: Path) -> None:
    shutil.copytree(work.parent, tmp_path / "copy")
    table = tmp_path / "copy" / "cohort" / "cases.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(PolytaskError, match="another cohort, or header or table changed"):
        evaluate(tmp_path / "copy" / "work" / "runs" / "hard")
