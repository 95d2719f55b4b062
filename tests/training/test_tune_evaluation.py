"""The mean skill that chooses the best checkpoint."""

from __future__ import annotations

import pytest

from polytask.tasks import make_task
from polytask.training.tune_evaluation import find_mean_skill

NAN = float("nan")
TASKS = {
    "grade": make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ("1", "2")}),
    "pcr": make_task("pcr", {"kind": "classification", "level": "subject", "classes": ("no", "yes")}),
    "size": make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0}),
}


def test_tasks_that_tune_does_not_define_are_left_out_of_the_mean() -> None:
    metrics = {"grade": {"kappa": 0.4}, "pcr": {"auc": NAN, "n": 3.0}, "size": {"r2": NAN, "mae": NAN}}
    assert find_mean_skill(TASKS, metrics) == pytest.approx(0.4)
    metrics["pcr"] = {"auc": 0.9}
    assert find_mean_skill(TASKS, metrics) == pytest.approx((0.4 + 0.8) / 2)
    assert find_mean_skill(TASKS, {"pcr": {"auc": NAN}}) == 0


def test_one_task_far_off_counts_for_no_less_than_minus_1() -> None:
    assert find_mean_skill(TASKS, {"grade": {"kappa": 0.5}, "size": {"r2": -40.0}}) == (0.5 - 1) / 2
    assert find_mean_skill(TASKS, {"grade": {"kappa": 0.5}, "size": {"r2": -0.75}}) == (0.5 - 0.75) / 2
