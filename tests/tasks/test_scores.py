"""AUC, confusion and regression measures against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from polytask.tasks import make_task
from polytask.tasks.confusion import (
    average_over_classes,
    build_confusion_matrix,
    compute_f1,
    compute_quadratic_kappa,
    compute_sensitivity,
    compute_specificity,
)
from polytask.tasks.ranking import compute_auc

R = np.random.default_rng(0)
ALL = np.ones(200, bool)


def test_auc_is_that_of_sklearn_with_ties() -> None:
    for decimals in (8, 1):
        scores, truth = R.normal(size=200).round(decimals), R.random(200) < 0.3
        assert compute_auc(scores, truth) == pytest.approx(sk.roc_auc_score(truth, scores), abs=1e-12)
    weights = R.random(200)
    assert compute_auc(scores, truth, weights) == pytest.approx(
        sk.roc_auc_score(truth, scores, sample_weight=np.where(truth, weights, 1)), abs=1e-12
    )


def test_auc_needs_both_sides_and_numbers() -> None:
    assert np.isnan(compute_auc([0.1, 0.2], [True, True]))
    assert np.isnan(compute_auc([0.1, 0.2], [False, False]))
    assert np.isnan(compute_auc([np.nan, 0.2], [False, True]))
    assert np.isnan(compute_auc([], []))


def test_confusion_measures_are_those_of_sklearn() -> None:
    truth, answer = R.integers(0, 4, 200), R.integers(0, 4, 200)
    m = build_confusion_matrix(truth, answer, 4)
    assert (m == sk.confusion_matrix(truth, answer)).all()
    assert compute_quadratic_kappa(m) == pytest.approx(
        sk.cohen_kappa_score(truth, answer, weights="quadratic")
    )
    assert average_over_classes([compute_f1(m, k) for k in range(4)]) == pytest.approx(
        sk.f1_score(truth, answer, average="macro")
    )
    for k in range(4):
        assert compute_sensitivity(m, k) == pytest.approx(sk.recall_score(truth == k, answer == k))
        assert compute_specificity(m, k) == pytest.approx(sk.recall_score(truth != k, answer != k))


def test_classification_of_several_classes() -> None:
    p, truth = R.dirichlet(np.ones(3), 200), R.integers(0, 3, 200)
    task = make_task("t", {"kind": "classification", "level": "visit", "classes": ["a", "b", "c"]})
    found = task.metrics({"p": p}, truth, ALL)  # type: ignore[attr-defined]
    assert found["auc"] == pytest.approx(sk.roc_auc_score(truth, p, multi_class="ovr"))
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(truth, p.argmax(1)))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(truth, p.argmax(1)))
    assert found["n"] == 200
    some = truth != 2
    fewer = task.metrics({"p": p}, truth, some)  # type: ignore[attr-defined]
    assert fewer["n"] == some.sum()
    for name in ("auc", "auc.c", "balanced_accuracy", "f1", "sensitivity", "sensitivity.c"):
        assert np.isnan(fewer[name]), name
    left = (fewer["auc.a"] + fewer["auc.b"]) / 2
    assert task.skill(fewer) == pytest.approx(2 * left - 1)


def test_classification_of_two_classes_takes_the_second_as_positive() -> None:
    p, truth = R.dirichlet(np.ones(2), 200), R.integers(0, 2, 200)
    task = make_task("t", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]})
    found = task.metrics({"p": p}, truth, ALL)  # type: ignore[attr-defined]
    assert found["auc"] == pytest.approx(sk.roc_auc_score(truth, p[:, 1]))
    assert found["sensitivity"] == pytest.approx(sk.recall_score(truth, p.argmax(1)))
    assert found["specificity"] == pytest.approx(sk.recall_score(1 - truth, 1 - p.argmax(1)))
    assert task.columns({"p": p}, 0)[""] == ("yes" if p[0, 1] > p[0, 0] else "no")  # type: ignore[attr-defined]
    one_sided = task.metrics({"p": p}, np.ones(200), ALL)  # type: ignore[attr-defined]
    assert np.isnan([one_sided["auc"], one_sided["specificity"], task.skill(one_sided)]).all()


def test_multilabel_averages_the_labels_that_are_defined() -> None:
    p, truth = R.random((200, 3)), (R.random((200, 3)) < 0.4).astype(float)
    known = R.random((200, 3)) < 0.6
    truth[:, 2] = 0
    task = make_task("t", {"kind": "multilabel", "level": "visit", "labels": ["a", "b", "c"]})
    found = task.metrics({"p": p}, np.where(known, truth, np.nan), known)  # type: ignore[attr-defined]
    expected = [sk.roc_auc_score(truth[known[:, k], k], p[known[:, k], k]) for k in (0, 1)]
    assert found["auc"] == pytest.approx(np.mean(expected))
    assert np.isnan(found["auc.c"])
    assert found["n.a"] == known[:, 0].sum()
    assert found["n"] == known.any(1).sum()


def test_ordinal_measures() -> None:
    p, truth = R.dirichlet(np.ones(4), 200), R.integers(0, 4, 200)
    task = make_task("t", {"kind": "ordinal", "level": "visit", "classes": ["0", "1", "2", "3"]})
    found = task.metrics({"p": p}, truth, ALL)  # type: ignore[attr-defined]
    median = np.array([np.searchsorted(np.cumsum(row), 0.5) for row in p])
    assert found["mae"] == pytest.approx(np.abs(median - truth).mean())
    assert found["kappa"] == pytest.approx(sk.cohen_kappa_score(truth, median, weights="quadratic"))
    assert found["auc.2"] == pytest.approx(sk.roc_auc_score(truth >= 2, p[:, 2:].sum(1)))
    assert np.isnan(task.skill(task.metrics({"p": p}, np.ones(200), ALL)))  # type: ignore[attr-defined]


def test_regression_measures() -> None:
    truth = R.normal(1e6, 2, 200)
    answer = truth + R.normal(0, 1, 200)
    task = make_task("t", {"kind": "regression", "level": "visit", "deviation": 2.0})
    found = task.metrics({"value": answer}, truth, ALL)  # type: ignore[attr-defined]
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(truth, answer))
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(truth, answer))
    assert found["r2"] == pytest.approx(sk.r2_score(truth, answer), rel=1e-6)
    assert found["pearson"] == pytest.approx(np.corrcoef(truth, answer)[0, 1], rel=1e-6)
    flat = task.metrics({"value": np.full(3, 1.5)}, np.ones(3), np.ones(3, bool))  # type: ignore[attr-defined]
    assert np.isnan([flat["r2"], flat["pearson"]]).all()
    assert task.skill(flat) == pytest.approx(1 - 0.5 / 2)
