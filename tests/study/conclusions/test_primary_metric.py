from __future__ import annotations

import numpy as np
import pytest

from polytask.errors import PolytaskError
from polytask.evaluation.part_answers import CaseMetrics
from polytask.evaluation.part_statistic import PartStatistic
from polytask.inference.pooled_answers import PooledAnswers
from polytask.statistics.effect import compare_arms
from polytask.statistics.metric_values import Contributions
from polytask.study.conclusions.primary_metric import (
    RARER_CLASS_CASES,
    collect_fold_values,
    compute_drawn_metrics,
    compute_primary_shares,
)
from polytask.tasks import make_task
from polytask.tasks.task import Task
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


def make_drawn_world(kind: str, n: int = 24) -> tuple[Task, PooledAnswers]:
    """A task of one kind with random answers, some of which are unknown."""
    rng = np.random.default_rng(5)
    options: dict[str, object] = {
        "classification": {"classes": ("a", "b", "c")},
        "multilabel": {"labels": ("a", "b", "c")},
        "ordinal": {"classes": ("a", "b", "c")},
    }.get(kind, {})
    if kind == "survival":
        options = {"horizons": ()}
    task = make_task("asked", {"kind": kind, "level": "visit", **options})
    p, known = rng.dirichlet([1, 1, 1], n), rng.random(n) < 0.8
    rare = rng.choice(3, n, p=[0.1, 0.3, 0.6])
    return {
        "classification": lambda: (task, items({"p": p}, rare, known)),
        "multilabel": lambda: (
            task,
            items({"p": p}, (rng.random((n, 3)) < 0.1) * 1.0, rng.random((n, 3)) < 0.8),
        ),
        "ordinal": lambda: (task, items({"p": p}, rare, known)),
        "regression": lambda: (task, items({"value": rng.normal(size=n)}, rng.normal(50, 9, n), known)),
        "survival": lambda: (
            task,
            items(
                {"risk": rng.normal(size=n)},
                np.stack([rng.integers(1, 9, n), rng.random(n) < 0.4], 1) * 1.0,
                np.ones(n, bool),
            ),
        ),
    }[kind]()


@pytest.mark.parametrize("kind", ["classification", "multilabel", "ordinal", "regression", "survival"])
def test_resamples_together_give_the_metric_of_each_alone(kind: str) -> None:
    """With no class, event or grade at all in some resamples, and labels that are unknown one by one."""
    task, answered = make_drawn_world(kind)
    index = np.flatnonzero(answered.known.reshape(24, -1).any(1))
    rng = np.random.default_rng(0)
    counts = rng.multinomial(len(index), [1 / len(index)] * len(index), size=50).astype(float)
    counts[0] = 0
    counts[0, 0] = len(index)
    wanted = []
    for row in counts.astype(int):
        shares = compute_primary_shares(task, answered, np.repeat(index, row))
        wanted.append(float("nan") if shares is None else shares[0])
    found = compute_drawn_metrics(task, answered, index, counts)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)
    assert np.isnan(found[0])
    assert np.isfinite(found).sum() > 20
