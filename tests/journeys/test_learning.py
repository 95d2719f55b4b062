"""What takes minutes: the phantom's labels are really learned, and a large image is segmented at full spacing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polytask.cohort.phantom import make_phantom
from polytask.evaluation import evaluate
from polytask.plan.work_folder import plan_into
from polytask.prepare.store_builder import prepare
from polytask.training import train

pytestmark = pytest.mark.slow


def read_estimate(metrics: dict[str, Any], task: str, metric: str) -> float:
    """Read one held-out metric of one task."""
    return float(metrics[task][metric]["estimate"])


def set_step_count(count: int) -> list[str]:
    """A fixed length, so that a busy machine takes longer and learns the same; one thread, for others run beside."""
    return ["training.epochs=10", f"training.steps_per_epoch={count // 10}", "training.threads=1"]


def test_all_task_kinds_are_learnt_in_minutes(tmp_path: Path) -> None:
    make_phantom(tmp_path / "cohort", subjects=144, size=32, seed=0)
    work = tmp_path / "work"
    plan_into(tmp_path / "cohort", work, folds=3)
    prepare(work)
    run = train(work, overrides=set_step_count(1400))
    evaluate(run.folder)
    found = json.loads((run.folder / "evaluation.json").read_text())["metrics"]
    assert read_estimate(found, "organs", "dice") > 0.6
    assert read_estimate(found, "lesion", "dice") > 0.4
    assert read_estimate(found, "grade", "kappa") > 0.4
    assert read_estimate(found, "pattern", "auc") > 0.7
    assert read_estimate(found, "diameter", "r2") > 0.5
    assert read_estimate(found, "os", "c") > 0.6
    assert found["dose"]["mae"]["estimate"] < 6


def test_a_large_image_with_a_grade_is_segmented_at_full_spacing(tmp_path: Path) -> None:
    make_phantom(tmp_path / "cohort", subjects=12, size=192, seed=1, visits=1, tasks=["lesion", "grade"])
    work = tmp_path / "work"
    planned = plan_into(tmp_path / "cohort", work, folds=3)
    image = planned.plan.shared.images["scan"]
    assert image.field == "both"
    assert image.spacing == (1.0, 1.0, 1.0)
    prepare(work)
    run = train(work, overrides=set_step_count(250))
    evaluate(run.folder)
    found = json.loads((run.folder / "evaluation.json").read_text())["metrics"]
    assert read_estimate(found, "lesion", "dice.lesion") > 0.5
    assert found["grade"]["kappa"]["n"] > 0
