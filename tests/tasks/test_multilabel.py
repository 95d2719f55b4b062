"""Labels that do not exclude each other."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from polytask.tasks.multilabel import Multilabel
from polytask.tasks.target import Target

TASK = Multilabel("t", "visit", ("u", "v"), (0.75, 0.2))


def measure_loss(
    task: Multilabel, output: list[list[float]], value: list[list[float]]
) -> tuple[float, float]:
    truth = torch.tensor(value)
    total, count = task.criterion()(torch.tensor(output), Target(truth, truth >= 0), ["s"] * len(value))
    return float(total), float(count)


def test_a_head_starts_at_the_log_odds_of_training_or_at_a_coin() -> None:
    features = torch.zeros(1, 4)
    assert TASK.head(4, 0)(features)[0].tolist() == pytest.approx([log(3), log(0.25)])
    balanced = Multilabel("t", "visit", ("u", "v"), (0.75, 0.2), balanced=True)
    assert balanced.head(4, 0)(features)[0].tolist() == [0.0, 0.0]
    assert Multilabel("t", "visit", ("u", "v", "w")).head(4, 0)(features)[0].tolist() == [0.0] * 3


def test_the_loss_adds_up_known_labels_only() -> None:
    total, count = measure_loss(TASK, [[log(3), 0.0], [0.0, 9.0]], [[1.0, 0.0], [1.0, -1.0]])
    assert count == 3
    assert total == pytest.approx(log(4 / 3) + 2 * log(2))
    half = Multilabel("t", "visit", ("u", "v"), constant=0.5)
    assert measure_loss(half, [[0.0, 0.0]], [[1.0, 1.0]])[0] == pytest.approx(4 * log(2))


def test_a_balanced_loss_weighs_yes_and_no_alike() -> None:
    balanced = Multilabel("t", "visit", ("u", "v"), (0.75, 0.2), balanced=True)
    weights = [[0.5 / 0.75, 0.5 / 0.2], [0.5 / 0.25, 0.5 / 0.8]]
    for bits, expected in (([1.0, -1.0], weights[0][0]), ([-1.0, 1.0], weights[0][1])):
        assert measure_loss(balanced, [[0.0, 0.0]], [bits])[0] == pytest.approx(log(2) * expected)
    for bits, expected in (([0.0, -1.0], weights[1][0]), ([-1.0, 0.0], weights[1][1])):
        assert measure_loss(balanced, [[0.0, 0.0]], [bits])[0] == pytest.approx(log(2) * expected)


def test_labels_of_one_half_or_more_are_written() -> None:
    p = np.array([[0.2, 0.9], [0.5, 0.75], [0.49, 0.1]])
    assert [TASK.columns({"p": p}, row)[""] for row in range(3)] == ["v", "u;v", ""]
    assert TASK.columns({"p": p}, 0)[".p.u"] == 0.2


def test_measures_by_hand() -> None:
    p = np.array([[0.5, 0.1], [0.3, 0.9], [0.6, 0.2], [0.1, 0.8]])
    truth = np.array([[1, 0], [1, 1], [0, 0], [0, 1]])
    known = np.array([[True, False], [True, False], [True, False], [True, False]])
    found = TASK.metrics({"p": p}, truth, known)
    assert (found["n"], found["n.u"], found["n.v"]) == (4, 4, 0)
    assert (found["auc.u"], found["accuracy.u"], found["sensitivity.u"], found["specificity.u"]) == (0.5,) * 4
    assert found["f1.u"] == 0.5
    assert np.isnan([found["auc.v"], found["accuracy.v"]]).all()
    assert found["auc"] == found["auc.u"], "of the labels that are defined"
    found = TASK.metrics(
        {"p": p}, truth, np.array([[True, True], [False, False], [False, True], [True, True]])
    )
    assert (found["n"], found["n.u"], found["n.v"], found["auc.v"]) == (3, 2, 3, 1.0)
    found = TASK.metrics({"p": p}, np.array([[1, 1], [0, 1], [0, 1], [0, 0]]), np.ones((4, 2), bool))
    assert (found["sensitivity.u"], found["specificity.u"]) == (1.0, 2 / 3)


def test_skill_is_twice_the_area_minus_one() -> None:
    assert TASK.skill({"auc": 0.75}) == 0.5
    assert np.isnan(TASK.skill({}))
