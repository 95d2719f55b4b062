"""What is not there at prediction: without the image, the table or the second visit there is an answer, and a good one
where what is left decides."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from polytask.cohort.phantom import make_phantom
from polytask.evaluation.evaluation_result import Evaluation
from polytask.predict import Predictor
from tests.journeys.outcome_runs import plan_and_prepare, read_case_rows, rewrite_cohort, train_and_evaluate

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SUBJECTS, LEARNING, TUNING, STEPS = 180, 90, 18, 300
POSITIVE_CLASSES = {"high": "yes", "pattern": "hollow", "response": "yes"}
"""Task → the class whose probability is read."""
IMAGE, TABLE = ("scan.xr", "scan.mr"), ("age", "sex", "marker")


class LearnedWorld(NamedTuple):
    cohort: Path
    run: Path
    found: Evaluation


def add_marker_task(header: dict[str, Any]) -> None:
    """A task that the table decides: whether the marker is high."""
    header["tasks"]["high"] = {"kind": "classification", "classes": ["no", "yes"]}


@pytest.fixture(scope="module")
def learnt_once(tmp_path_factory: pytest.TempPathFactory) -> LearnedWorld:
    folder = tmp_path_factory.mktemp("missing")
    cohort = make_phantom(folder / "cohort", SUBJECTS, 32, 0, 2, 2, ["lesion", "pattern", "response"], 1)
    middle = float(np.median([float(r["marker"]) for r in read_case_rows(cohort) if r["marker"]]))

    def whole(row: dict[str, str]) -> dict[str, str]:
        marker = row["marker"]
        return row | {"split": "train", "high": ("no", "yes")[float(marker) > middle] if marker else ""}

    rewrite_cohort(cohort, add_marker_task, whole)
    work = plan_and_prepare(cohort, folder / "work", LEARNING, TUNING)
    found = train_and_evaluate(
        work, "run", STEPS, "model.source_dropout=0.3", preset="parallel", visit_fusion="attention"
    )
    return LearnedWorld(cohort, work / "runs/run", found)


def measure_aucs(
    learnt_once: LearnedWorld,
    out: Path,
    gone: tuple[str, ...] = (),
    keep: Callable[[Mapping[str, str]], bool] = bool,
) -> dict[str, float]:
    """Predict the held-out subjects with some columns emptied or rows left out → AUC by task, against what the whole
    cohort says; every probability is finite and every asked case has one."""
    held, partial = set(learnt_once.found.subjects), out / "cohort"
    shutil.copytree(learnt_once.cohort, partial)
    rewrite_cohort(
        partial,
        row=lambda row: row | dict.fromkeys(gone, ""),
        keep=lambda row: row["subject"] in held and keep(row),
    )
    Predictor.load(learnt_once.run, device="cpu").predict(partial, out / "answers")
    with (out / "answers/predictions.csv").open(encoding="utf-8", newline="") as stream:
        answers = {(r["subject"], r["visit"]): r for r in csv.DictReader(stream)}
    truth: dict[str, list[tuple[bool, float]]] = {task: [] for task in POSITIVE_CLASSES}
    for row in read_case_rows(learnt_once.cohort):
        for task, word in POSITIVE_CLASSES.items():
            who = (row["subject"], "" if task == "response" else row["visit"])
            if row["subject"] in held and row[task] and keep(row):
                truth[task].append((row[task] == word, float(answers[who][f"{task}.p.{word}"])))
    assert all(np.isfinite([p for _, p in pairs]).all() for pairs in truth.values())
    return {task: float(roc_auc_score(*zip(*pairs, strict=True))) for task, pairs in truth.items()}


def test_with_everything_all_tasks_are_answered(learnt_once: LearnedWorld, tmp_path: Path) -> None:
    found = measure_aucs(learnt_once, tmp_path)
    assert found["high"] > 0.9
    assert found["pattern"] > 0.9


def test_without_the_image_the_table_decides(learnt_once: LearnedWorld, tmp_path: Path) -> None:
    found = measure_aucs(learnt_once, tmp_path, gone=IMAGE)
    assert found["high"] > 0.85
    assert abs(found["pattern"] - 0.5) < 0.15  # nothing in the table tells it: an answer, and no knowledge


def test_without_the_table_the_image_decides(learnt_once: LearnedWorld, tmp_path: Path) -> None:
    assert measure_aucs(learnt_once, tmp_path, gone=TABLE)["pattern"] > 0.9


def test_without_the_second_visit_the_first_is_answered(learnt_once: LearnedWorld, tmp_path: Path) -> None:
    found = measure_aucs(learnt_once, tmp_path, keep=lambda row: row["visit"] == "baseline")
    assert found["pattern"] > 0.9
    assert found["high"] > 0.85
