"""Metrics of each kind with their influences: estimates are those of scikit-learn, influences what a subject moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from polytask.evaluation.measured_metric import MeasuredMetric
from polytask.evaluation.metric_calculator import MetricCalculator
from polytask.evaluation.metrics_by_kind import (
    MetricsByName,
    average_voxel_cases,
    find_measure,
    measure_r2,
    measure_skill,
    measure_survival,
)
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from tests.evaluation.worlds import items

N = 70
R = np.random.default_rng(3)
TRUTH = R.integers(0, 3, N)
P = R.dirichlet(np.ones(3), N) * 0.6 + 0.4 * np.eye(3)[TRUTH]
OF = MetricCalculator(N, np.arange(N), 100)


def make(kind: str, **fields: Any) -> Any:
    return make_task("t", {"kind": kind, "level": "visit", **fields})


THREE, GRADES = make("classification", classes=["a", "b", "c"]), make("ordinal", classes=["a", "b", "c"])
TWO = make("classification", classes=["no", "yes"])
LABELS = make("multilabel", labels=["u", "v", "w"])
SIZE = make("regression", deviation=2.0)


def measure(task: Any, found: PooledAnswers) -> MetricsByName:
    measure = find_measure(task.kind)
    assert measure is not None
    return measure(task, found, OF)


def test_classes_are_measured_one_against_the_rest() -> None:
    found = measure(THREE, items({"p": P}, TRUTH))
    answer = P.argmax(1)
    assert found["auc"].estimate == pytest.approx(sk.roc_auc_score(TRUTH, P, multi_class="ovr"))
    assert found["accuracy"].estimate == pytest.approx(sk.accuracy_score(TRUTH, answer))
    assert found["balanced_accuracy"].estimate == pytest.approx(sk.balanced_accuracy_score(TRUTH, answer))
    assert found["f1"].estimate == pytest.approx(sk.f1_score(TRUTH, answer, average="macro"))
    for k, name in enumerate("abc"):
        assert found[f"auc.{name}"].estimate == pytest.approx(sk.roc_auc_score(k == TRUTH, P[:, k]))
        assert found[f"sensitivity.{name}"].estimate == pytest.approx(
            sk.recall_score(k == TRUTH, answer == k)
        )
        assert found[f"specificity.{name}"].estimate == pytest.approx(
            sk.recall_score(k != TRUTH, answer != k)
        )


def test_of_two_classes_the_second_is_positive() -> None:
    p, truth = np.stack([1 - P[:, 0], P[:, 0]], 1), (TRUTH == 0).astype(int)
    found = measure(TWO, items({"p": p}, truth))
    assert set(found) == {"accuracy", "balanced_accuracy", "f1", "auc", "sensitivity", "specificity"}
    assert found["auc"].estimate == pytest.approx(sk.roc_auc_score(truth, p[:, 1]))
    assert found["sensitivity"].estimate == pytest.approx(sk.recall_score(truth, p.argmax(1)))
    assert found["specificity"].estimate == pytest.approx(sk.recall_score(1 - truth, 1 - p.argmax(1)))


def test_unknown_items_do_not_count() -> None:
    known = np.arange(N) % 2 == 0
    found = measure(THREE, items({"p": P}, TRUTH, known))
    assert found["accuracy"].estimate == pytest.approx((P.argmax(1) == TRUTH)[known].mean())
    assert found["accuracy"].has_case.tolist() == known.tolist()


def test_labels_are_averaged_over_those_that_are_defined() -> None:
    truth = np.stack([TRUTH == 0, TRUTH == 1, TRUTH == 9], 1).astype(float)
    known = np.ones((N, 3), bool)
    known[:10, 1] = False
    p = P.copy()
    p[0, 0] = 0.5
    found = measure(LABELS, items({"p": p}, truth, known))
    areas = [sk.roc_auc_score(truth[:, 0], p[:, 0]), sk.roc_auc_score(truth[10:, 1], p[10:, 1])]
    assert found["auc"].estimate == pytest.approx(np.mean(areas))
    assert np.isnan(found["auc.w"].estimate)
    assert found["accuracy.u"].estimate == pytest.approx(((p[:, 0] >= 0.5) == truth[:, 0]).mean())
    assert found["f1.u"].estimate == pytest.approx(sk.f1_score(truth[:, 0], p[:, 0] >= 0.5))
    assert np.isnan(found["f1.w"].estimate)
    assert found["specificity.w"].estimate == pytest.approx((p[:, 2] < 0.5).mean())


def test_grades_are_measured_by_their_distance() -> None:
    found = measure(GRADES, items({"p": P}, TRUTH))
    median = np.array([np.searchsorted(np.cumsum(row), 0.5) for row in P])
    assert found["kappa"].estimate == pytest.approx(sk.cohen_kappa_score(TRUTH, median, weights="quadratic"))
    assert found["mae"].estimate == pytest.approx(np.abs(median - TRUTH).mean())
    assert found["accuracy"].estimate == pytest.approx((median == TRUTH).mean())
    assert found["auc.b"].estimate == pytest.approx(sk.roc_auc_score(TRUTH >= 1, P[:, 1:].sum(1)))
    assert found["auc.c"].estimate == pytest.approx(sk.roc_auc_score(TRUTH >= 2, P[:, 2]))
    assert "auc.a" not in found


VALUE = R.normal(5, 2, N)
GUESS = VALUE + R.normal(0.3, 1, N)


def test_numbers_are_measured_as_by_scikit_learn() -> None:
    found = measure(SIZE, items({"value": GUESS}, VALUE))
    assert found["mae"].estimate == pytest.approx(sk.mean_absolute_error(VALUE, GUESS))
    assert found["rmse"].estimate == pytest.approx(sk.root_mean_squared_error(VALUE, GUESS))
    assert found["r2"].estimate == pytest.approx(sk.r2_score(VALUE, GUESS))
    assert found["pearson"].estimate == pytest.approx(np.corrcoef(VALUE, GUESS)[0, 1])
    for name in ("mae", "rmse", "r2", "pearson"):
        assert found[name].low < found[name].estimate < found[name].high < 10
    flat = measure(SIZE, items({"value": GUESS}, np.full(N, 3.0)))
    assert np.isnan([flat["r2"].estimate, flat["pearson"].estimate]).all()
    assert np.isfinite(flat["rmse"].estimate)


def test_perfect_numbers_have_no_interval_of_their_spread() -> None:
    found = measure(SIZE, items({"value": VALUE}, VALUE))
    assert (found["r2"].estimate, found["rmse"].estimate) == (1.0, 0.0)
    assert found["r2"].shortage == "no error to compute an interval from"
    assert np.isnan(found["pearson"].low)
    assert measure_r2(VALUE, GUESS, OF).estimate == pytest.approx(sk.r2_score(VALUE, GUESS))


def find_effects(metric: Callable[[np.ndarray], float]) -> np.ndarray:
    """What a little more weight of each item changes, by drawing it once more."""
    whole = metric(np.arange(N))
    return np.array([(N + 1) * (metric(np.append(np.arange(N), k)) - whole) for k in range(N)])


@pytest.mark.parametrize(
    ("task", "prediction", "value", "name"),
    [
        (SIZE, {"value": GUESS}, VALUE, "r2"),
        (SIZE, {"value": GUESS}, VALUE, "pearson"),
        (SIZE, {"value": GUESS}, VALUE, "rmse"),
        (SIZE, {"value": GUESS}, VALUE, "mae"),
        (GRADES, {"p": P}, TRUTH, "kappa"),
        (THREE, {"p": P}, TRUTH, "auc"),
        (THREE, {"p": P}, TRUTH, "f1"),
    ],
)
def test_an_influence_is_what_a_subject_moves(
    task: Any, prediction: dict[str, Any], value: Any, name: str
) -> None:
    found = measure(task, items(prediction, value))[name]

    def metric(index: np.ndarray) -> float:
        drawn = {k: v[index] for k, v in prediction.items()}
        return float(task.metrics(drawn, value[index], np.ones(len(index), bool))[name])

    effects = find_effects(metric)
    assert np.corrcoef(found.influence, effects)[0, 1] > 0.99
    assert np.std(found.influence) * N == pytest.approx(np.std(effects), rel=0.08)


def make_survival(**fields: Any) -> Any:
    given = {
        "kind": "survival",
        "level": "subject",
        "horizons": [5.0],
        "censoring": {"times": [3.0], "survival": [0.5]},
    }
    return make_task("t", {**given, "baseline": {"times": [9.0], "hazard": [0.2]}, **fields})


def test_survival_is_measured_by_the_training_censoring() -> None:
    """Events at 2 (weight 1) and 4 (weight 2), one censored at 3 and one followed to 9 (weight 2)."""
    value = np.array([[2.0, 1.0], [4.0, 1.0], [3.0, 0.0], [9.0, 0.0]])
    prediction = {"risk": np.array([4.0, 1.0, 2.0, 3.0]), "p": np.array([[0.9], [0.4], [0.3], [0.2]])}
    of = MetricCalculator(4, np.arange(4), 100)
    found = measure_survival(make_survival(), items(prediction, value), of)
    assert found["auc.T5"].estimate == pytest.approx((1 * 1 + 2 * 0) / 3)
    assert found["brier.T5"].estimate == pytest.approx((0.1**2 + 2 * 0.6**2 + 0.2**2 * 2) / 4)
    assert found["c"].estimate == pytest.approx(3 / 4)
    hazard = measure_survival(make_survival(loss="hazard", bins=[9.0]), items(prediction, value), of)
    assert hazard["auc.T5"].estimate == 1.0
    lost = measure_survival(
        make_survival(censoring={"times": [3.0], "survival": [0.09]}), items(prediction, value), of
    )
    assert lost["auc.T5"].shortage.startswith("fewer than a tenth")
    assert np.isnan(lost["brier.T5"].estimate)


def test_cases_are_measured_by_what_their_metrics_are_bounded_by() -> None:
    names = ["dice", "surface_dice.s", "hd95", "mae", "dvh", "dvh.s.D95", "volume_error"]
    values = R.random((N, 7))
    values[0, 0] = np.nan
    found = average_voxel_cases(names, values, OF)
    assert [found[n].method for n in names] == ["bounded mean"] * 2 + ["error"] * 3 + ["mean"] * 2
    assert found["dice"].estimate == pytest.approx(np.nanmean(values[:, 0]))
    assert found["dice"].has_case.tolist() == [False] + [True] * (N - 1)


def one(estimate: float) -> MeasuredMetric:
    return MeasuredMetric(estimate, np.zeros(2), np.ones(2, bool), "area", estimate - 0.1, estimate + 0.2)


def test_skill_is_the_primary_metric_between_chance_and_perfect() -> None:
    nan = float("nan")
    for task in (TWO, LABELS):
        found = measure_skill(task, {"auc": one(0.75)}, 2)
        assert (found.estimate, found.low, found.high) == pytest.approx((0.5, 0.3, 0.9))
    left = measure_skill(THREE, {"auc": one(nan), "auc.a": one(0.7), "auc.b": one(0.9), "auc.c": one(nan)}, 2)
    assert left.estimate == pytest.approx(0.6)
    assert measure_skill(make_survival(), {"c": one(0.75)}, 2).estimate == pytest.approx(0.5)
    assert measure_skill(GRADES, {"kappa": one(0.4)}, 2).estimate == 0.4
    assert measure_skill(SIZE, {"r2": one(0.4), "mae": one(9.0)}, 2).estimate == 0.4
    error = measure_skill(SIZE, {"r2": one(nan), "mae": one(0.5)}, 2)
    assert (error.estimate, error.low, error.high) == pytest.approx((0.75, 0.65, 0.8))
    assert np.isnan(
        measure_skill(make("regression", deviation=0.0), {"r2": one(nan), "mae": one(0.5)}, 2).estimate
    )
    dose = make_task("t", {"kind": "dose", "deviation": 8.0})
    assert measure_skill(dose, {"mae": one(2.0)}, 2).estimate == 0.75
    mask = make_task("t", {"kind": "segmentation", "structures": ["s"], "exclusive": True})
    assert measure_skill(mask, {"dice": one(0.8)}, 2).estimate == 0.8
    assert np.isnan(measure_skill(make("count"), {"d2": one(0.8)}, 2).estimate)


def test_an_unseen_error_is_twice_the_largest_in_both_means_of_errors() -> None:
    """All errors are 1, and an unseen one may be 2. If q is the share of the unseen one at the upper end, the mean
    there is 1 + q, and the mean square 1 + q (4 − 1)."""
    found = measure(SIZE, items({"value": VALUE + np.where(np.arange(N) % 2, 1.0, -1.0)}, VALUE))
    assert (found["mae"].estimate, found["rmse"].estimate) == (pytest.approx(1.0), pytest.approx(1.0))
    share = found["mae"].high - 1
    assert share > 0.01
    assert found["rmse"].high == pytest.approx(np.sqrt(1 + 3 * share))
