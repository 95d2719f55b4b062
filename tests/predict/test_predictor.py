"""A trained run, an ensemble and an exported model predict alike; damage is noticed."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from polytask.cohort.cell_values import image_paths
from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.cohort.splits import make_splits
from polytask.errors import PolytaskError
from polytask.images.formats import probe_image_file, read_image_file
from polytask.plan.fingerprint import make_fingerprint
from polytask.plan.plan_file import set_values, write_plan
from polytask.plan.planner import make_plan
from polytask.predict import Predictor, export
from polytask.predict.input_hiding import MAX_COMBINATIONS, choose_combinations, predict_without_inputs
from polytask.prepare.store_builder import prepare
from polytask.training.run import train
from tests.predict.mutations import write_sealed

QUICK = (
    "training.precision=float32",
    "training.threads=1",
    "training.epochs=1",
    "training.steps_per_epoch=2",
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of a 3D phantom whose sites differ in orientation."""
    folder = tmp_path_factory.mktemp("predict")
    make_phantom(folder / "cohort", subjects=14, size=24, seed=1, visits=1)
    cohort = Cohort.read(folder / "cohort")
    work = folder / "work"
    work.mkdir()
    splits = make_splits(cohort, folds=3, seed=0)
    splits.write(work / "splits.json")
    plan = set_values(
        make_plan(cohort, make_fingerprint(cohort), splits), (*QUICK, "images.scan.widths=[8,16,16]")
    )
    write_plan(plan, work)
    prepare(work, jobs=1)
    for fold in (0, 1):
        train(work, fold=fold, name=f"f{fold}")
    train(work, sharing="single", name="single", tasks=["lesion", "grade"])
    return work


def rows(out: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return {(r["subject"], r["visit"]): r for r in csv.DictReader(stream)}


def test_masks_and_doses_lie_on_the_source_grid(work: Path, tmp_path: Path) -> None:
    cohort = Cohort.read(work.parent / "cohort")
    Predictor.load(work / "runs" / "f0").predict(work.parent / "cohort", tmp_path / "out", probabilities=True)
    found = rows(tmp_path / "out")
    assert set(found) >= {(c.subject, c.visit) for c in cohort.cases}
    for case in cohort.cases:
        path = next(p for p in image_paths(cohort, case, "scan").values() if p)
        source = probe_image_file(path).grid
        row = found[case.subject, case.visit]
        for column in ("lesion", "organs", "dose", "lesion.p"):
            volume = read_image_file(tmp_path / "out" / row[column])
            assert volume.grid.is_same_grid(source), (case.subject, column)
        mask = read_image_file(tmp_path / "out" / row["lesion"])
        assert set(np.unique(mask.array)) <= {0, 1, 2}
        p = read_image_file(tmp_path / "out" / row["lesion.p"]).array
        np.testing.assert_allclose(p.sum(0), 1, atol=1e-3)


def test_an_exported_model_predicts_what_its_run_predicts(work: Path, tmp_path: Path) -> None:
    given = work.parent / "cohort"
    Predictor.load(work / "runs" / "f0").predict(given, tmp_path / "a")
    model = export([work / "runs" / "f0"], tmp_path / "model")
    hidden = work.with_name("hidden")
    work.rename(hidden)
    try:
        Predictor.load(model).predict(given, tmp_path / "b")
    finally:
        hidden.rename(work)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    for path in sorted((tmp_path / "a").rglob("*.nii.gz")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()


def test_an_ensemble_is_the_mean_of_its_members(work: Path, tmp_path: Path) -> None:
    runs = [work / "runs" / n for n in ("f0", "f1")]
    for name, sources in (("0", runs[:1]), ("1", runs[1:]), ("both", runs)):
        Predictor.load(*sources).predict(work.parent / "cohort", tmp_path / name)
    zero, one, both = (rows(tmp_path / n) for n in ("0", "1", "both"))
    for key, row in both.items():
        mean = (float(zero[key]["grade.p.G1"]) + float(one[key]["grade.p.G1"])) / 2
        assert float(row["grade.p.G1"]) == pytest.approx(mean, abs=1e-4)
        assert (row["fold"], row["member"]) == ("0;1", "2")


def test_an_ensemble_can_be_exported(work: Path, tmp_path: Path) -> None:
    runs = [work / "runs" / n for n in ("f0", "f1")]
    model = export(runs, tmp_path / "model")
    assert len(Predictor.load(model).members) == 2
    assert "Research use only" in (model / "README.md").read_text()


def test_a_model_of_an_earlier_version_answers_the_same(work: Path, tmp_path: Path) -> None:
    """Its plan lacks values that later plans have: 3×3×3 kernels, the pixels of the files, the same flips for all."""
    model = export([work / "runs" / "f0"], tmp_path / "model")
    described = json.loads((model / "model.json").read_text(encoding="utf-8"))
    shared = described["plan"]["shared"]
    assert shared["augmentation"].pop("flip_2d") is None
    assert [image.pop("kernels") for image in shared["images"].values()] == [None]
    assert [image.pop("resize") for image in shared["images"].values()] == [None]
    Predictor.load(model).predict(work.parent / "cohort", tmp_path / "a")
    write_sealed(model, described)
    old = Predictor.load(model)
    assert old.plan.shared.images["scan"].kernels is None
    old.predict(work.parent / "cohort", tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_single_networks_answer_together(work: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(work / "runs" / "single")
    assert len(predictor.members[0].networks) == 2
    predictor.predict(work.parent / "cohort", tmp_path / "out")
    row = next(iter(rows(tmp_path / "out").values()))
    assert row["lesion"]
    assert row["grade"]
    assert "dose" not in row


def test_mirrored_passes_are_averaged(work: Path, tmp_path: Path) -> None:
    predictor = Predictor.load(work / "runs" / "f0")
    predictor.plan.shared.augmentation.flip = (False, True, True)
    assert predictor.flip_axes() == [1, 2]
    predictor.predict(work.parent / "cohort", tmp_path / "a")
    predictor.predict(work.parent / "cohort", tmp_path / "b", tta=True)
    a, b = rows(tmp_path / "a"), rows(tmp_path / "b")
    assert any(a[k]["diameter"] != b[k]["diameter"] for k in a)


def test_changed_weights_are_noticed(work: Path, tmp_path: Path) -> None:
    model = export([work / "runs" / "f0"], tmp_path / "model")
    path = model / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(PolytaskError, match="hash mismatch"):
        Predictor.load(model)


def test_a_missing_channel_is_refused_when_training_never_lacked_it(work: Path, tmp_path: Path) -> None:
    cohort = Cohort.read(work.parent / "cohort")
    case = next(c for c in cohort.cases if "scan.mr" in c.cells)
    folder = tmp_path / "plain"
    folder.mkdir()
    shutil.copy(cohort.path(case.cells["scan.ct"]), folder / "x_0000.nii.gz")
    predictor = Predictor.load(work / "runs" / "f0")
    predictor.predict(folder, tmp_path / "out")
    assert rows(tmp_path / "out")["x", ""]["grade"]
    image = predictor.plan.shared.images["scan"]
    predictor.plan.shared.images["scan"] = image.model_copy(update={"channel_flags": False})
    with pytest.raises(PolytaskError, match=r"scan\.mr is missing"):
        predictor.predict(folder, tmp_path / "other")


def test_a_hidden_channel_is_a_channel_that_the_table_does_not_name(work: Path) -> None:
    """The files are read once for all combinations; the answers are those of a cohort without the cells."""
    cohort = Cohort.read(work.parent / "cohort")
    predictor = Predictor.load(work / "runs" / "f0")
    chosen, needed = choose_combinations(predictor.model_inputs, cohort)
    assert ("scan.mr",) in chosen
    assert ("clinic",) in chosen
    assert len({frozenset(key) for key in chosen}) == len(chosen) <= MAX_COMBINATIONS
    assert not set(chosen) & set(needed)
    samples = [s for s in cohort.samples() if all("scan.mr" in c.cells for c in s.cases)][:2]
    less = replace(
        cohort,
        cases=tuple(
            replace(c, cells={k: v for k, v in c.cells.items() if k != "scan.mr"}) for c in cohort.cases
        ),
    )
    found = {
        (a.subject, a.case is None): a
        for _, a in predict_without_inputs(predictor, cohort, samples, [("scan.mr",)])
    }
    wanted = list(predictor.answers(less, less.samples([s.subject for s in samples])))
    assert len(found) == len(wanted)
    for other in wanted:
        mine = found[other.subject, other.case is None]
        for task, arrays in other.pooled.items():
            for key, values in arrays.items():
                np.testing.assert_allclose(mine.pooled[task][key], values, rtol=1e-4, atol=1e-5)
        assert mine.voxel.keys() == other.voxel.keys()
