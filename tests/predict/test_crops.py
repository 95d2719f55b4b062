"""A model that reads crops of small findings: trained, judged, asked, exported, as any other."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polytask.cohort.cohort import Cohort
from polytask.cohort.phantom import make_phantom
from polytask.errors import PolytaskError
from polytask.evaluation import evaluate
from polytask.inference.crop_places import find_crop_places
from polytask.inference.sample_prediction import predict_sample
from polytask.model.crop_reader import CropSpec
from polytask.plan.plan_schema import Plan
from polytask.plan.roi_plan import RoiPlan
from polytask.plan.work_folder import plan_into
from polytask.predict import Predictor, export
from polytask.prepare.evaluation_sample import full_sample
from polytask.prepare.store import Store
from polytask.prepare.store_builder import prepare
from polytask.training.assemble import make_network_spec
from polytask.training.run import train

SETTINGS = (
    "images.scan.field=both",
    "images.scan.view=[16,16]",
    "images.scan.view_spacing=[12,12]",
    "images.scan.spacing=[6,6]",
    "images.scan.patch=[16,16]",
    "images.scan.widths=[8,16,16]",
    "images.scan.blocks=[1,1,1]",
    "images.scan.strides=[[1,1],[2,2],[2,2]]",
    "model.embedding=16",
    "training.precision=float32",
    "training.threads=1",
    "training.workers=0",
    "training.epochs=1",
    "training.steps_per_epoch=2",
)
SOURCES = {
    "attention": "{attention: 3, size: [8, 8]}",
    "task": "{below: 99, crops: 2, size: [8, 8]}",
    "surroundings": "{task: lesion, surroundings: true, crops: 2, size: [8, 8]}",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 2D phantom with all kinds of task and two visits, and a run for each source of crops. In its folds the lesion
    is the smallest finding, and chooses them."""
    folder = tmp_path_factory.mktemp("crops")
    make_phantom(folder / "cohort", subjects=14, size=32, dims=2, seed=3)
    roi = f"images.scan.roi={SOURCES['task']}"
    plan_into(folder / "cohort", folder / "work", folds=3, settings=(*SETTINGS, roi))
    prepare(folder / "work", jobs=1)
    for source, roi in SOURCES.items():
        train(folder / "work", name=source, overrides=[f"images.scan.roi={roi}"])
    return folder / "work"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize(
    "source", [pytest.param(s, marks=[pytest.mark.slow] if s == "attention" else []) for s in SOURCES]
)
def test_an_exported_model_predicts_what_its_run_predicts(work: Path, tmp_path: Path, source: str) -> None:
    run, given = work / "runs" / source, work.parent / "cohort"
    assert evaluate(run, resamples=10).metrics["grade"]
    Predictor.load(run).predict(given, tmp_path / "a")
    Predictor.load(export([run], tmp_path / "model")).predict(given, tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    held_out = {(r["subject"], r["visit"]): r for r in rows(run)}
    again = {(r["subject"], r["visit"]): r for r in rows(tmp_path / "a")}
    for key, row in held_out.items():
        for column in (c for c in row if c.startswith("grade.p.") and row[c]):
            assert float(again[key][column]) == pytest.approx(float(row[column]), abs=1e-4)


def test_crops_change_the_answers_of_pooled_tasks(work: Path, tmp_path: Path) -> None:
    train(work, name="view", overrides=["images.scan.roi=null"])
    for name in ("view", "attention"):
        Predictor.load(work / "runs" / name).predict(work.parent / "cohort", tmp_path / name)
    pairs = zip(rows(tmp_path / "view"), rows(tmp_path / "attention"), strict=True)
    assert any(a["grade.p.G1"] != b["grade.p.G1"] for a, b in pairs)


def test_a_network_without_the_choosing_task_lets_attention_choose(work: Path, tmp_path: Path) -> None:
    run = train(work, name="alone", tasks=["grade"], overrides=[f"images.scan.roi={SOURCES['task']}"])
    Predictor.load(run.folder).predict(work.parent / "cohort", tmp_path / "out")
    assert all(r["grade"] for r in rows(tmp_path / "out") if r["visit"])


def test_masks_on_another_image_cannot_choose_crops(work: Path) -> None:
    plan, header = Plan.read(work), Cohort.read(work.parent / "cohort").header
    plan.shared.images["scan"].roi = RoiPlan(task="lesion")
    other = header.model_copy(
        update={
            "tasks": header.tasks | {"lesion": header.tasks["lesion"].model_copy(update={"image": "pet"})}
        }
    )
    with pytest.raises(
        PolytaskError, match=r"images\.scan\.roi\.task: the masks of 'lesion' lie on image 'pet'"
    ):
        make_network_spec(plan, plan.folds[0], other)


def test_places_named_by_a_column_are_needed_at_prediction_too(tmp_path: Path) -> None:
    table = make_phantom(tmp_path / "cohort", subjects=14, size=32, dims=2, seed=3) / "cases.csv"
    plain = table.read_text().splitlines()
    table.write_text(
        "\n".join([f"{plain[0]},spot", *[f"{line},16 {8 + n % 9}" for n, line in enumerate(plain[1:])]])
    )
    roi = "images.scan.roi={column: spot, size: [8, 8]}"
    plan_into(tmp_path / "cohort", tmp_path / "work", folds=3, settings=(*SETTINGS, roi))
    prepare(tmp_path / "work", jobs=1)
    run = train(tmp_path / "work", name="column").folder
    model = export([run], tmp_path / "model")
    Predictor.load(run).predict(tmp_path / "cohort", tmp_path / "a")
    Predictor.load(model).predict(tmp_path / "cohort", tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    table.write_text(table.read_text().replace(",16 8", ",16 32", 1))
    with pytest.raises(PolytaskError, match=r"outside the image of 32×32 voxels"):
        Predictor.load(model).predict(tmp_path / "cohort", tmp_path / "c")
    assert not (tmp_path / "c" / "predictions.csv").exists(), "found before the first answer"
    table.write_text("\n".join(plain))
    with pytest.raises(PolytaskError, match="'spot' is not a column of the table"):
        Predictor.load(model).predict(tmp_path / "cohort", tmp_path / "c")


def test_crops_of_a_new_case_lie_on_the_predicted_mask(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two crops around the places that the mask gives, mirrored where the pass is; nothing is scored again."""
    run = work / "runs" / "task"
    predictor, plan = Predictor.load(run), Plan.read(run)
    plan.shared.augmentation.flip = (True, True)
    cohort = Cohort.read(work.parent / "cohort")
    (sample,) = cohort.samples([cohort.cases[0].subject])
    full = full_sample(Store(work / "store"), cohort, sample, plan, plan.folds[0])
    masks: list[np.ndarray[Any, Any]] = []

    def place(mask: np.ndarray[Any, Any], size: Sequence[int], count: int) -> list[tuple[float, ...]]:
        masks.append(mask)
        return [(10.0, 13.0), (20.0, 11.0)]

    network = predictor.members[0].networks[0]
    seen: list[torch.Tensor] = []
    network.crops["scan"].register_forward_pre_hook(lambda _, given: seen.append(given[2]))
    monkeypatch.setattr("polytask.inference.crop_places.find_predicted_places", place)
    mirrored = predict_sample(network, full, plan, torch.device("cpu"), flips=((), (0,)))
    assert mirrored["lesion"]
    image = torch.from_numpy(full.images["scan"][0])
    assert masks[0].shape == image.shape[1:]
    plain, flipped = seen
    assert plain.shape[1] == 2
    assert torch.equal(plain[0, 0], image[:, 6:14, 9:17])
    assert torch.equal(plain[0, 1], image[:, 16:24, 7:15])
    # An even crop around a voxel is not symmetric: mirrored, it begins one voxel later.
    assert torch.equal(flipped[0, 0].flip(1), image[:, 7:15, 9:17])
    alone = predict_sample(network, full, plan, torch.device("cpu"), pooled_only=True)
    assert set(alone) == set(mirrored) - {"lesion", "organs", "dose"}


def test_the_largest_part_of_the_mask_decides_what_pooled_tasks_read(work: Path) -> None:
    run = work / "runs" / "task"
    predictor, plan = Predictor.load(run), Plan.read(run)
    network = predictor.members[0].networks[0]
    assert network.spec.crops["scan"] == CropSpec(2, "lesion")
    output = torch.full((network.tasks["lesion"].outputs, 32, 32), -9.0)
    output[0] = 0.0
    output[1, 4:12, 20:26] = 9.0
    places = find_crop_places(network, plan, "scan", output)
    assert places[0] == (7.5, 22.5)
    assert len(places) == 2
