"""Folds that are too small for intervals of their own still tell together whether a task is learned."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from polytask.evaluation.part_metrics import measure_task_metrics
from polytask.evaluation.part_statistic import PartStatistic
from polytask.study.conclusions.arm_comparison import beats_chance
from polytask.tasks import make_task
from tests.evaluation.worlds import answers, items

TASKS = {"type": make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")})}


def study(gap: float, subjects: int = 14) -> Any:
    random, runs = np.random.default_rng(1), []
    for fold in range(3):
        truth = np.arange(subjects) % 2
        p = 1 / (1 + np.exp(-(random.normal(size=subjects) + gap * truth)))
        given = answers({"type": items({"p": np.stack([1 - p, p], 1)}, truth)})
        statistic = PartStatistic(TASKS, given, list(given.sites))
        runs.append(SimpleNamespace(run=SimpleNamespace(fold=fold), statistic=statistic))
    return SimpleNamespace(of_arm=lambda arm: runs)


@pytest.mark.parametrize(("gap", "learned"), [(2.5, True), (0.0, False)])
def test_small_folds_together(gap: float, learned: bool) -> None:
    found = study(gap)
    one = measure_task_metrics(found.of_arm("single")[0].statistic, "type")["skill"]
    assert one.shortage == "too few: 7 subjects of each class, 15 needed"
    assert beats_chance(found.of_arm("single"), "type") == learned
    assert not beats_chance(found.of_arm("single"), "absent")
