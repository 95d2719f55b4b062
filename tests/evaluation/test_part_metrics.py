"""Every metric that a task gives is judged by a method of its own, and no estimate moves on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polytask.evaluation.answer_collector import AnswerCollector
from polytask.evaluation.evaluate_run import evaluate_answers
from polytask.evaluation.interval_floors import INTERVAL_FLOORS
from polytask.evaluation.part_answers import PartAnswers
from polytask.evaluation.part_metrics import measure_all_tasks
from polytask.evaluation.part_statistic import PartStatistic, is_metric
from polytask.statistics import comparable_pairs
from polytask.tasks import make_task
from tests.evaluation.worlds import CENSORING, Someone, answers, items, phantom

RECORD = {"name": "x", "fold": 1, "seed": 0, "sharing": "hard"}
TWO = make_task("type", {"kind": "classification", "level": "visit", "classes": ("no", "yes")})
THREE = make_task("sort", {"kind": "classification", "level": "visit", "classes": ("a", "b", "c")})
GRADE = make_task("grade", {"kind": "ordinal", "level": "visit", "classes": ("1", "2", "3")})
SIZE = make_task("size", {"kind": "regression", "level": "visit", "deviation": 2.0})
FINDINGS = make_task("findings", {"kind": "multilabel", "level": "visit", "labels": ("a", "b.c")})
OS = make_task(
    "os", {"kind": "survival", "level": "subject", "horizons": (300.0, 700.0), "censoring": CENSORING}
)
TASKS = {t.name: t for t in (TWO, THREE, GRADE, SIZE, FINDINGS, OS)}


def world(n: int, skill: float = 0.5, visits: int = 1, seed: int = 0) -> PartAnswers:
    """One answer of every pooled kind for each subject and visit."""
    random = np.random.default_rng(seed)
    subjects = [f"s{i // visits}" for i in range(n * visits)]
    count = len(subjects)
    yes, sort, grade = (
        random.integers(0, 2, count),
        random.integers(0, 3, count),
        random.integers(0, 3, count),
    )

    def votes(truth: np.ndarray, classes: int) -> np.ndarray:
        p = random.random((count, classes)) + skill * np.eye(classes)[truth]
        return p / p.sum(1, keepdims=True)

    size, labels = random.normal(size=count), random.integers(0, 2, (count, 2))
    seen = random.random((count, 2)) < 0.8
    times = np.round(random.exponential(600, count)) + 1
    risk = -skill * np.log(times) + random.normal(size=count)
    pooled: dict[str, Any] = {
        "type": items({"p": votes(yes, 2)}, yes, subjects=subjects),
        "sort": items({"p": votes(sort, 3)}, sort, subjects=subjects),
        "grade": items({"p": votes(grade, 3)}, grade, subjects=subjects),
        "size": items({"value": skill * size + random.normal(size=count) / 3}, size, subjects=subjects),
        "findings": items(
            {"p": np.clip(0.3 * labels + 0.7 * random.random((count, 2)), 0, 1)},
            labels,
            seen,
            subjects=subjects,
        ),
        "os": items(
            {"risk": risk, "p": random.random((count, 2))},
            np.stack([times, random.random(count) < 0.7], 1),
            subjects=subjects,
        ),
    }
    return answers(pooled)


@pytest.mark.parametrize("visits", [1, 3])
def test_no_estimate_moves_and_no_method_is_missing(visits: int) -> None:
    statistic = PartStatistic(TASKS, given := world(80, visits=visits), list(given.sites))
    found = measure_all_tasks(statistic, 50)
    for name in TASKS:
        for metric, value in statistic.whole[name].items():
            if is_metric(metric):
                measured = found[f"{name}/{metric}"]
                assert measured.estimate == pytest.approx(value, nan_ok=True), (name, metric)
                assert measured.method != "other", (name, metric)
                assert measured.influence.sum() == pytest.approx(0, abs=1e-9), (name, metric)
                if np.isfinite(value):
                    assert measured.low <= value <= measured.high, (name, metric)
    assert found["/skill"].low < found["/skill"].estimate < found["/skill"].high


def test_influence_is_what_a_subject_changes() -> None:
    """Against leaving each subject out; second-order terms are of the order 1/n."""
    given = world(120)
    statistic = PartStatistic(TASKS, given, list(given.sites))
    found, everybody = measure_all_tasks(statistic, 20), np.arange(120)
    whole, left_out = statistic(everybody), range(0, 120, 9)
    without = [statistic(np.delete(everybody, k)) for k in left_out]
    for key in (
        "type/auc",
        "sort/auc",
        "sort/f1",
        "grade/kappa",
        "size/r2",
        "size/pearson",
        "size/rmse",
        "os/c",
        "os/auc.T300",
        "os/brier.T300",
        "findings/auc",
        "findings/sensitivity",
        "/skill",
    ):
        change = np.array([whole[key] - rest[key] for rest in without])
        influence = found[key].influence[::9]
        assert np.abs(change - influence).max() < 0.12 * np.abs(influence).max(), key


def test_bounds_are_kept_and_perfection_is_not_certainty() -> None:
    truth = np.arange(40) % 2
    p = np.stack([1 - truth, truth], 1).astype(float)
    found = evaluate_answers(
        {"type": TWO}, answers({"type": items({"p": p}, truth)}), RECORD, "held_out", resamples=200
    )
    for metric in ("auc", "accuracy", "f1", "sensitivity", "balanced_accuracy"):
        e = found.metrics["type"][metric]
        assert (e.estimate, e.high) == pytest.approx((1, 1)), metric
        assert 0.6 < e.low < 0.97, metric
    assert found.skill["type"].high <= 1


def test_an_area_of_one_on_ten_cases_has_no_interval() -> None:
    """It was printed as 1.00 (1.00 to 1.00)."""
    truth = np.arange(10) % 2
    p = np.stack([1 - truth, truth], 1).astype(float)
    found = evaluate_answers({"type": TWO}, answers({"type": items({"p": p}, truth)}), RECORD, "held_out")
    area, accuracy = found.metrics["type"]["auc"], found.metrics["type"]["accuracy"]
    assert (area.estimate, area.n, area.reason) == (1, 10, "too few: 5 subjects of each class, 15 needed")
    assert np.isnan([area.low, area.high]).all()
    assert accuracy.low == pytest.approx(0.7225, abs=1e-4)  # Wilson, 10 of 10
    plain = found.as_dict()["metrics"]["type"]["auc"]
    assert set(plain) == {"estimate", "low", "high", "n", "reason"}


@pytest.mark.parametrize(
    ("n", "metric", "there"),
    [
        (9, "type/accuracy", False),
        (10, "type/accuracy", True),
        (39, "size/mae", False),
        (40, "size/mae", True),
        (29, "grade/kappa", False),
        (30, "grade/kappa", True),
        (59, "size/r2", False),
        (60, "size/r2", True),
    ],
)
def test_floors(n: int, metric: str, there: bool) -> None:
    given = world(n, seed=3)
    found = measure_all_tasks(PartStatistic(TASKS, given, list(given.sites)), 50)[metric]
    assert np.isfinite(found.estimate)
    assert np.isfinite(found.low) == there
    assert (found.shortage == "") == there


def test_visits_of_a_subject_are_no_more_cases() -> None:
    """Nine subjects with three visits each are nine."""
    given = world(9, visits=3)
    found = measure_all_tasks(PartStatistic(TASKS, given, list(given.sites)), 50)["type/accuracy"]
    assert found.shortage == "too few: 9 subjects, 10 needed"
    assert found.has_case.sum() == 9


def test_events_are_counted_for_c() -> None:
    given = world(60)
    value = given.pooled["os"].value
    value[:, 1] = np.arange(60) < 19
    found = measure_all_tasks(PartStatistic({"os": OS}, given, list(given.sites)), 50)
    assert found["os/c"].shortage == "too few: 19 subjects with an event, 20 needed"
    assert found["/skill"].shortage == found["os/c"].shortage


def test_no_floor_is_above_what_was_promised() -> None:
    most = {"subjects": 60, "subjects of each class": 30, "subjects with an event": 40}
    assert all(floor.least <= most[floor.what] for floor in INTERVAL_FLOORS.values())


def test_masks_and_doses(tmp_path: Path) -> None:
    cohort = phantom(tmp_path, subjects=24)
    who = Someone(cohort)
    collector = AnswerCollector(cohort, who.tasks)
    for answer in who.answers(cohort):
        collector(answer)
    given = collector.answers(cohort.samples())
    statistic = PartStatistic(who.tasks, given, list(given.sites))
    found = measure_all_tasks(statistic, 50)
    voxel = [n for n, t in who.tasks.items() if t.level == "voxel"]
    assert voxel
    for name in voxel:
        for metric, value in statistic.whole[name].items():
            if is_metric(metric) and np.isfinite(value):
                measured = found[f"{name}/{metric}"]
                assert measured.estimate == pytest.approx(value)
                assert measured.method in ("mean", "error", "bounded mean")
                assert measured.shortage or measured.low <= value <= measured.high
        primary = found[f"{name}/{who.tasks[name].primary}"]
        assert primary.shortage or primary.low >= 0


def test_pairs_of_four_thousand_subjects_are_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """1,000 resamples of their C-index alone counted them 1,000 times and took 35 seconds."""
    given, counts = world(4000), []
    count = comparable_pairs.count_inversions
    monkeypatch.setattr(
        comparable_pairs, "count_inversions", lambda *a: counts.append(len(a[0])) or count(*a)
    )
    found = measure_all_tasks(PartStatistic({"os": OS}, given, list(given.sites)), 1000)
    assert found["os/c"].low > 0
    assert counts == [4000] * 2, "for the whole, and for what each adds"
