"""What would stop a prediction from slides is said before it begins."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import read_header
from polytask.errors import PolytaskError
from polytask.plan.plan_schema import Plan
from polytask.plan.work_folder import plan_into
from polytask.predict import Predictor
from polytask.predict.bundle import export
from polytask.predict.input_preflight import ensure_inputs_readable
from polytask.predict.prediction_inputs import read_inputs
from polytask.prepare.store_builder import prepare
from polytask.training.run import train
from tests.images.slide_cohorts import write_cohort

PLAN = cast(Plan, SimpleNamespace(shared=SimpleNamespace(images={})))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cohort(tmp_path_factory.mktemp("slides") / "cohort")


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    """A cohort to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "cohort"))


def test_slides_that_cannot_be_read_are_named(folder: Path) -> None:
    ensure_inputs_readable(Cohort.read(folder), PLAN)
    (folder / "s01.tif").write_bytes(b"no tiff")
    (folder / "s02.pt").unlink()
    with pytest.raises(PolytaskError, match=r"subject s01, visit first: .*s01\.tif: .*\(3 cases have"):
        ensure_inputs_readable(Cohort.read(folder), PLAN)


def test_a_table_without_any_slide_is_refused(folder: Path) -> None:
    header = read_header(folder / "cohort.yaml")
    table = folder / "cases.csv"
    assert len(read_inputs(table, header).cases) == 24
    lines = [re.sub(r"biopsy|bag", "x", table.read_text().splitlines()[0]).replace("x,x", "x,y")]
    table.write_text("\n".join([*lines, *table.read_text().splitlines()[1:]]))
    with pytest.raises(PolytaskError, match="no column biopsy or bag"):
        read_inputs(table, header)


def test_an_exported_model_answers_from_slides_as_its_run_does(sound: Path, tmp_path: Path) -> None:
    """And says for every slide which patches counted."""
    short = ["training.epochs=1", "training.steps_per_epoch=1", "training.threads=1", "model.embedding=16"]
    plan_into(sound, tmp_path / "work", folds=2, settings=short, jobs=1)
    prepare(tmp_path / "work", jobs=1)
    run = train(tmp_path / "work", input_fusion="attention")
    export([run.folder], tmp_path / "model")
    tables = []
    for source, out in ((run.folder, tmp_path / "a"), (tmp_path / "model", tmp_path / "b")):
        Predictor.load(source).predict(sound, out)
        tables.append((out / "predictions.csv").read_text())
    assert tables[0] == tables[1]
    rows = list(csv.DictReader(tables[0].splitlines()))
    files = [(row[c], c) for row in rows for c in row if ".patches." in c and row[c]]
    assert files
    for name, _ in files:
        found = np.load(tmp_path / "a" / name)
        sums = found["attention"].reshape(-1, found["attention"].shape[-1]).sum(1)
        assert bool((np.isclose(sums, 1, atol=1e-4) | (sums == 0)).all())
        assert found["places"].shape == (*found["attention"].shape, 2)
    assert any(np.load(tmp_path / "a" / name)["attention"].any() for name, _ in files)
