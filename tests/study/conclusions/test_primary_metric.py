from __future__ import annotations

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.part_answers import CaseMetrics
from polytask.evaluation.part_statistic import PartStatistic
from polytask.statistics.effect import compare_arms
from polytask.statistics.metric_values import Contributions
from polytask.study.conclusions.primary_metric import RARER_CLASS_CASES, collect_fold_values
from polytask.tasks import make_task
from tests.evaluation.worlds import answers, items

TASKS = {
    "type": make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")}),
    "mask": make_task("mask", {"kind": "segmentation", "structures": ("s",), "exclusive": True}),
}
SUBJECTS = [f"s{i}" for i in range(20)]


def run(seed: int, unknown: int = 0) -> PartStatistic:
    """Twenty subjects; masks of all but the last, two visits of the first; labels of all but the first `unknown`."""
    rng = np.random.default_rng(seed)
    truth = np.arange(20) % 2
    p = 1 / (1 + np.exp(-(rng.normal(size=20) + truth)))
    ids = [("s0", "a"), ("s0", "b"), *((s, "a") for s in SUBJECTS[1:19])]
    masks = CaseMetrics(tuple(ids), tuple({"n": 1.0, "dice": float(v)} for v in rng.random(len(ids))))
    labels = items({"p": np.stack([1 - p, p], 1)}, truth, np.arange(20) >= unknown)
    return PartStatistic(TASKS, answers({"type": labels}, {"mask": masks}), SUBJECTS)


def test_metric_and_contributions_are_the_statistic_s_own() -> None:
    """Closed forms say what the task's own metric says without each subject, all visits of a subject at once."""
    runs = {("hard", 0): run(0), ("single", 0): run(1)}
    for task, people, n in (("mask", 19, 20), ("type", 20, 20)):
        found = collect_fold_values(0, task, runs)
        assert found is not None
        assert (len(found.subjects), found.n) == (people, n)
        assert found.subjects == tuple(SUBJECTS[:people])
        for key, statistic in runs.items():
            primary = TASKS[task].primary
            everybody = np.arange(people, dtype=np.int64)
            slow = Contributions.by_leaving_out(lambda i: statistic.task(task, i)[primary], people)  # noqa: B023
            assert found.runs[key].whole == pytest.approx(statistic.task(task, everybody)[primary])
            assert found.runs[key].values == pytest.approx(slow.values, rel=0.12, abs=0.04)
    assert np.isfinite(compare_arms([found], "hard").p)


def test_what_is_rare_is_counted() -> None:
    found = collect_fold_values(0, "type", {("hard", 0): run(0, unknown=5), ("single", 0): run(1)})
    assert found is not None
    assert found.rare == {RARER_CLASS_CASES: 7}
    masks = collect_fold_values(0, "mask", {("hard", 0): run(0)})
    assert masks is not None
    assert masks.rare == {}


def test_only_subjects_that_every_run_can_be_judged_on() -> None:
    found = collect_fold_values(0, "type", {("hard", 0): run(0, unknown=5), ("single", 0): run(1)})
    assert found is not None
    assert (len(found.subjects), found.n) == (15, 15)
    assert collect_fold_values(0, "type", {("hard", 0): run(0, unknown=20)}) is None


def test_different_lists_of_subjects_are_refused() -> None:
    other = PartStatistic(TASKS, run(1).answers, SUBJECTS[::-1])
    with pytest.raises(PolytaskError, match="fold 3: runs judged on different subjects"):
        collect_fold_values(3, "type", {("hard", 0): run(0), ("single", 0): other})
