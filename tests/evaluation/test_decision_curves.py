"""Decision curves by task and label, where there is something to decide."""

from __future__ import annotations

import numpy as np

from polytask.evaluation.decision_curves import compute_decision_curves
from polytask.inference.pooled_answers import PooledAnswers
from polytask.tasks import make_task
from tests.evaluation.worlds import answers, items

LABELS = make_task("finds", {"kind": "multilabel", "level": "visit", "labels": ["never", "always", "some"]})
TWO = make_task("pcr", {"kind": "classification", "level": "visit", "classes": ["no", "yes"]})
P = np.array([0.9, 0.8, 0.3, 0.1])
TRUTH = np.array([1, 1, 0, 0])


def test_labels_whose_truths_are_all_alike_have_no_curve_and_the_others_have() -> None:
    value = np.stack([np.zeros(4), np.ones(4), TRUTH], 1)
    ids = tuple((f"s{k}", "") for k in range(4))
    found = PooledAnswers(ids, {"p": np.stack([P] * 3, 1)}, value, np.ones((4, 3), bool))
    curves = compute_decision_curves({"finds": LABELS}, answers({"finds": found}))
    assert list(curves["finds"]) == ["some"]
    assert (curves["finds"]["some"]["n"], curves["finds"]["some"]["positives"]) == (4, 2)


def test_net_benefit_of_two_classes_by_hand() -> None:
    """At the threshold t: true positives ÷ n − false positives ÷ n × t ÷ (1 − t) (Vickers and Elkin 2006)."""
    found = items({"p": np.stack([1 - P, P], 1)}, TRUTH)
    curve = compute_decision_curves({"pcr": TWO}, answers({"pcr": found}))["pcr"]["yes"]
    for threshold, model, everybody in zip(curve["thresholds"], curve["model"], curve["all"], strict=True):
        odds = threshold / (1 - threshold)
        yes = threshold <= P
        by_hand = (yes & (TRUTH == 1)).sum() / 4 - (yes & (TRUTH == 0)).sum() / 4 * odds
        assert abs(model - by_hand) < 1e-6
        assert abs(everybody - (0.5 - 0.5 * odds)) < 1e-6
    assert set(curve["none"]) == {0.0}


def test_tasks_of_other_kinds_and_without_answers_have_none() -> None:
    size = make_task("size", {"kind": "regression", "level": "visit"})
    assert (
        compute_decision_curves({"size": size, "pcr": TWO}, answers({"size": items({"value": P}, P)})) == {}
    )
