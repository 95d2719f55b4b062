"""`predict --uncertainty` from training to columns and maps, through the command line and the Python interface."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from polytask.cohort.phantom import make_phantom
from polytask.evaluation import evaluate
from polytask.inference.head_passes import PASSES
from polytask.plan.work_folder import plan_into
from polytask.predict.predictor import Predictor
from polytask.prepare.store_builder import prepare
from polytask.training import train
from tests.journeys.run_cli import polytask, run_successfully

QUICK = (
    *("training.precision=float32", "training.threads=1", "training.epochs=1", "training.steps_per_epoch=2"),
    *("training.workers=0", "images.scan.widths=[4,8,8]", "model.embedding=8"),
    "folds.*.tasks.diameter.spread=gaussian",
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose number tells a spread, evaluated and trusted."""
    folder = tmp_path_factory.mktemp("uncertainty")
    make_phantom(folder / "cohort", 12, 24, 3, 3, 1, ("lesion", "grade", "diameter"), 2)
    plan_into(folder / "cohort", folder / "work", folds=2, settings=QUICK, jobs=1)
    prepare(folder / "work", jobs=1)
    made = train(folder / "work", name="a", fold=0, seed=0, device="cpu")
    evaluate(made.folder, resamples=5, device="cpu", hidden=False)
    run_successfully("trust", made.folder, "--level", 0.8)
    return made.folder


def read_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_columns_and_maps_say_how_unsure_each_answer_is(run: Path, tmp_path: Path) -> None:
    cohort = run.parents[2] / "cohort"
    told = json.loads((run / "trust.json").read_text())["tasks"]["diameter"]["members"][0]["spread"]
    assert told["factor"] > 0
    run_successfully("predict", run, cohort, "-o", tmp_path / "a", "--uncertainty", "--passes", 5)
    rows = read_rows(tmp_path / "a")
    for row in rows:
        assert 0 <= float(row["grade.u.epistemic"]) <= float(row["grade.u"]) <= 1
        assert float(row["diameter.u"]) > 0
        assert float(row["diameter.u.epistemic"]) > 0
        assert row["lesion.expected_dice.lesion"] == "" or 0 < float(row["lesion.expected_dice.lesion"]) <= 1
        assert "grade.u.folds" not in row
        mask, unsure = (nibabel.load(tmp_path / "a" / row[key]) for key in ("lesion", "lesion.u.map"))
        assert row["lesion.u.map"].endswith(".u.nii.gz")
        assert np.array_equal(mask.affine, unsure.affine)
        assert mask.shape == unsure.shape
        values = np.asarray(unsure.dataobj)
        assert 0 <= values.min() <= values.max() <= 1
    # Raw spreads are scaled by the factor that trust has fitted.
    Predictor.load(run, device="cpu").predict(cohort, tmp_path / "b", passes=5)
    for row, raw in zip(rows, read_rows(tmp_path / "b"), strict=True):
        assert float(row["diameter.u"]) == pytest.approx(told["factor"] * float(raw["diameter.u"]), rel=1e-4)
        assert row["diameter.u.epistemic"] == raw["diameter.u.epistemic"]


def test_passes_leave_the_answer_alone_and_are_the_same_every_time(run: Path) -> None:
    from polytask.cohort.cohort import Cohort

    cohort = Cohort.read(run.parents[2] / "cohort")
    predictor, said = Predictor.load(run, device="cpu"), []
    for passes in (0, 7, 7):
        predictor.head_passes = passes
        said.append(next(predictor.answers(cohort, cohort.samples()[:1])).members[0]["grade"])
    assert PASSES not in said[0]
    assert said[1][PASSES].shape == (1, 7, 3)
    assert np.array_equal(said[0]["p"], said[1]["p"])
    assert np.array_equal(said[1][PASSES], said[2][PASSES])
    assert float(said[1][PASSES].std(1).max()) > 0
    assert said[1][PASSES].mean(1) == pytest.approx(said[1]["p"], abs=0.1)


def test_bad_wishes_are_one_line(run: Path, tmp_path: Path) -> None:
    cohort = run.parents[2] / "cohort"
    said = polytask("predict", run, cohort, "-o", tmp_path / "x", "--passes", 5)
    assert said.code == 2
    assert "--passes goes with --uncertainty" in said.err
    said = polytask("train", run.parents[1], "--set", "folds.*.tasks.grade.spread=gaussian", "--name", "x")
    assert said.code == 2
    assert "whose kind is ordinal; regression, count, dose, map have it" in said.err.replace("\n", " ")
    assert not (tmp_path / "x").exists()
