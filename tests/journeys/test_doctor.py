"""The doctor on real trainings: silent about healthy ones, and each illness, made for real, is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.ndimage import binary_dilation

from polytask.cohort.phantom import make_phantom
from polytask.errors import PolytaskError
from polytask.evaluation.doctor import Finding, diagnose_run
from polytask.images.formats import read_image_file
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.training import train
from tests.journeys.outcome_runs import rewrite_cohort, write_case_rows, write_gray_picture

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
QUICK = (
    "training.precision=float32",
    "training.threads=1",
    "training.workers=0",
    "training.epochs=10",
    "training.steps_per_epoch=20",
    "training.tune_every=1",
    "training.patience=0",
    "training.batch=8",
    "training.rate=0.003",
    "training.warmup=10",
    "training.balance.log_every=10",
)
IMAGE = ("images.scan.widths=[8,16,16]", "model.embedding=16")
DOCTOR_TASKS = ("lesion", "grade", "diameter")


def plan_and_prepare_phantom(folder: Path, *settings: str, splits: Path | None = None) -> Path:
    """Plan and prepare the cohort in a folder."""
    plan_into(folder / "cohort", folder / "work", 3, splits=splits, settings=[*QUICK, *settings], jobs=1)
    prepare(folder / "work", jobs=1)
    return folder / "work"


def write_changed_phantom(
    folder: Path,
    tasks: tuple[str, ...] | None,
    row: Callable[[dict[str, str]], Mapping[str, str]] = dict,
    header: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Path:
    """Sixty subjects in 2D, changed in place."""
    make_phantom(folder / "cohort", subjects=60, size=24, dims=2, seed=3, visits=1, tasks=tasks)
    rewrite_cohort(folder / "cohort", header, row)
    return folder


def train_and_diagnose(work: Path, name: str, *overrides: str, **options: Any) -> list[Finding]:
    """Train a run and return the findings of the doctor about it."""
    return diagnose_run(train(work, name=name, overrides=overrides, device="cpu", **options).folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared work folder with tasks of all kinds."""
    return plan_and_prepare_phantom(write_changed_phantom(tmp_path_factory.mktemp("whole"), None), *IMAGE)


@pytest.mark.parametrize(
    ("sharing", "balance", "seed"),
    [
        ("hard", "equal", 0),
        ("hard", "upgrad", 1),
        ("mtan", "equal", 2),
        ("mtan", "upgrad", 3),
        ("hard", "uncertainty", 4),
    ],
)
def test_a_healthy_run_is_not_ill(whole: Path, sharing: str, balance: str, seed: int) -> None:
    assert (
        train_and_diagnose(whole, f"{sharing}-{balance}-{seed}", sharing=sharing, balance=balance, seed=seed)
        == []
    )


def test_healthy_single_networks_are_not_ill(whole: Path) -> None:
    assert train_and_diagnose(whole, "single", sharing="single", tasks=DOCTOR_TASKS) == []


@pytest.mark.parametrize(
    ("override", "illness", "task"),
    [
        ("training.weights.grade=0.01", "starved", "grade"),
        ("training.weights.grade=0", "dead", "grade"),
        ("training.weights.diameter=30", "scale", "diameter"),
        ("folds.0.tasks.diameter.constant=0.01", "scale", "diameter"),
    ],
)
def test_a_wrong_setting_is_named(whole: Path, override: str, illness: str, task: str) -> None:
    found = train_and_diagnose(whole, override.replace("=", "-"), override, tasks=DOCTOR_TASKS)
    assert [(f.name, f.tasks) for f in found] == [(illness, (task,))]


def test_steps_that_are_wild(whole: Path) -> None:
    wild = ("training.clip=0", "training.warmup=0")
    with pytest.raises(PolytaskError, match="20 in a row"):
        train_and_diagnose(whole, "nan", "training.rate=1e8", *wild, tasks=DOCTOR_TASKS)
    (skipped, *_) = diagnose_run(whole / "runs/nan")
    assert skipped.name == "skipped"
    assert skipped.evidence["skipped"] >= 19
    (ran, *_) = train_and_diagnose(whole, "wild", "training.rate=10", *wild, tasks=DOCTOR_TASKS)
    assert ran.name == "scale"
    assert "diverged" in ran.says


def test_a_task_that_few_have_is_named(tmp_path: Path) -> None:
    numbers = iter(range(60))
    few = {4, 16, 22, 30, 43, 53}
    write_changed_phantom(
        tmp_path, DOCTOR_TASKS, lambda r: r if next(numbers) in few else r | {"diameter": ""}
    )
    found = train_and_diagnose(
        plan_and_prepare_phantom(tmp_path, *IMAGE, "training.batch=2", "training.balance.log_every=5"), "few"
    )
    assert [(f.name, f.tasks) for f in found] == [("seldom", ("diameter",))]


def test_tasks_of_different_subjects_are_sent_to_the_parameters(tmp_path: Path) -> None:
    numbers = iter(range(60))
    write_changed_phantom(
        tmp_path,
        DOCTOR_TASKS,
        lambda r: r | ({"grade": ""} if next(numbers) % 2 else {"diameter": "", "lesion": ""}),
    )
    work = plan_and_prepare_phantom(tmp_path, *IMAGE, "training.batch=2")
    (found,) = [f for f in train_and_diagnose(work, "features", balance="upgrad") if f.name == "strangers"]
    assert found.evidence["grade diameter"] == 0
    assert "--cut parameters" in found.remedy
    assert "strangers" not in [
        f.name for f in train_and_diagnose(work, "parameters", balance="upgrad", cut="parameters")
    ]


def test_two_readers_who_draw_differently_are_in_conflict(tmp_path: Path) -> None:
    """One lesion, drawn by two: each subject's is drawn wide by one of them, whichever, which nobody can foresee."""
    rng = np.random.default_rng(0)

    def drawn(row: dict[str, str]) -> dict[str, str]:
        rest = {k: v for k, v in row.items() if not k.startswith("lesion")}
        if not row["lesion"]:
            return rest | {"one": "", "two": ""}
        lesion = np.asarray(read_image_file(tmp_path / "cohort" / row["lesion"], 2).array[0]) == 1
        masks = [lesion, binary_dilation(lesion, iterations=4)]
        for reader, mask in zip(("one", "two"), masks if rng.random() < 0.5 else masks[::-1], strict=True):
            rest[reader] = f"masks/{reader}_{Path(row['lesion']).name}"
            write_gray_picture(tmp_path / "cohort" / rest[reader], mask)
        return rest

    def readers(header: dict[str, Any]) -> None:
        one = {"kind": "segmentation", "image": "scan", "labels": {"lesion": 1}}
        header["tasks"] = {"one": one, "two": dict(one), "diameter": header["tasks"]["diameter"]}

    write_changed_phantom(tmp_path, ("lesion", "diameter"), drawn, readers)
    work = plan_and_prepare_phantom(tmp_path, *IMAGE, "model.decoder=shared", "training.steps_per_epoch=30")
    found = train_and_diagnose(work, "readers")
    assert [(f.name, f.tasks) for f in found] == [("conflict", ("one", "two"))]
    assert found[0].evidence["cosine"] < -0.2


def test_what_is_learnt_by_heart_is_named(tmp_path: Path) -> None:
    """Sixty subjects, a label that is half luck, twelve columns to tell them apart by, and nothing that holds back."""
    rng, columns = np.random.default_rng(0), [f"x{k}" for k in range(12)]
    rows = []
    for number in range(170):
        x = rng.normal(size=len(columns))
        answers = {"easy": f"{x[0] + rng.normal(0, 0.2):.3f}", "hard": f"{x[0] + rng.normal(0, 0.9):.3f}"}
        cells = {name: f"{value:.3f}" for name, value in zip(columns, x, strict=True)}
        rows.append({"subject": f"{number:04}", **cells, **answers})
    (tmp_path / "cohort").mkdir()
    write_case_rows(tmp_path / "cohort", rows)
    header = {
        "polytask": 1,
        "name": "luck",
        "inputs": {"t": {"kind": "table", "columns": {name: {"type": "number"} for name in columns}}},
        "tasks": {"easy": {"kind": "regression"}, "hard": {"kind": "regression"}},
    }
    (tmp_path / "cohort/cohort.yaml").write_text(yaml.safe_dump(header), encoding="utf-8")
    subjects = [row["subject"] for row in rows]
    parts = {"train": subjects[:60], "tune": subjects[60:150], "held_out": subjects[150:]}
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps({"polytask": 1, "scheme": "subject", "seed": 0, "folds": [parts]}))
    loose = ("training.batch=12", "training.weight_decay=0", "model.dropout=0")
    work = plan_and_prepare_phantom(
        tmp_path, *loose, "training.epochs=40", "training.steps_per_epoch=6", splits=splits
    )
    found = train_and_diagnose(work, "luck")
    assert [(f.name, f.tasks) for f in found] == [("overfit", ("hard",))]
    assert found[0].evidence["peak"] > found[0].evidence["end"] + 0.13
    assert found[0].evidence["loss_now"] < 0.1
