"""Classes: where a head starts, what balancing weighs, and the measures of two and of more classes."""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np
import pytest
import torch

from polytask.tasks.classification import Classification
from polytask.tasks.target import Target

TWO = Classification("t", "visit", ("no", "yes"), (0.75, 0.25))
KNOWN = np.ones(4, bool)


def measure_loss(task: Classification, output: Any, value: list[int]) -> float:
    target = Target(torch.tensor(value), torch.ones(len(value), dtype=torch.bool))
    total, count = task.criterion()(torch.tensor(output), target, ["s"] * len(value))
    return float(total / count)


def begin(task: Classification) -> list[float]:
    """The outputs of a fresh head without any features."""
    found: list[float] = task.head(4, 0)(torch.zeros(1, 4))[0].tolist()
    return found


def test_a_head_starts_at_the_training_shares_or_at_even_ones() -> None:
    assert begin(TWO) == pytest.approx([log(0.75), log(0.25)])
    assert begin(Classification("t", "visit", ("no", "yes"), (0.75, 0.25), balanced=True)) == [0.0, 0.0]
    assert begin(Classification("t", "visit", ("a", "b", "c"))) == pytest.approx([log(1 / 3)] * 3)


def test_the_loss_is_cross_entropy_over_the_constant() -> None:
    output = [[0.0, log(3)], [0.0, 0.0]]
    assert measure_loss(TWO, output, [1, 0]) == pytest.approx((log(4 / 3) + log(2)) / 2)
    half = Classification("t", "visit", ("no", "yes"), constant=0.5)
    assert measure_loss(half, output, [1, 0]) == pytest.approx(log(4 / 3) + log(2))


def test_a_balanced_loss_weighs_a_class_by_how_rare_it_is() -> None:
    balanced = Classification("t", "visit", ("no", "yes"), (0.75, 0.25), balanced=True)
    assert measure_loss(balanced, [[0.0, 0.0]], [0]) == pytest.approx(log(2) * 2 / 3)
    assert measure_loss(balanced, [[0.0, 0.0]], [1]) == pytest.approx(log(2) * 2)


def test_of_drawn_shares_the_weights_are_theirs() -> None:
    drawn = Classification("t", "visit", ("no", "yes"), (0.9, 0.1), balanced=True, drawn_shares=(0.8, 0.2))
    assert measure_loss(drawn, [[0.0, 0.0]], [0]) == pytest.approx(log(2) / 1.6)
    assert measure_loss(drawn, [[0.0, 0.0]], [1]) == pytest.approx(log(2) / 0.4)


def test_probabilities_sum_to_one_and_the_most_probable_class_is_written() -> None:
    p = TWO.decode(torch.tensor([[0.0, log(3)]]))["p"].numpy()
    assert p[0].tolist() == pytest.approx([0.25, 0.75])
    assert TWO.columns({"p": p}, 0) == {
        "": "yes",
        ".p.no": pytest.approx(0.25),
        ".p.yes": pytest.approx(0.75),
    }


def test_measures_of_two_classes_by_hand() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.2, 0.8]])
    found = TWO.metrics({"p": p}, np.array([0, 0, 1, 1]), KNOWN)
    assert found == {
        "n": 4,
        "accuracy": 0.5,
        "balanced_accuracy": 0.5,
        "f1": 0.5,
        "auc": 0.75,
        "sensitivity": 0.5,
        "specificity": 0.5,
    }
    found = TWO.metrics({"p": p}, np.array([0, 0, 1, 1]), np.array([True, True, False, True]))
    assert (found["n"], found["auc"], found["sensitivity"], found["specificity"]) == (3, 1.0, 1.0, 0.5)


def test_measures_of_three_classes_are_one_against_the_rest() -> None:
    task = Classification("t", "visit", ("a", "b", "c"))
    p = np.array([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.3, 0.5], [0.1, 0.4, 0.5]])
    found = task.metrics({"p": p}, np.array([0, 1, 2, 1]), KNOWN)
    assert (found["auc.a"], found["auc.b"]) == (1.0, 1.0)
    assert found["auc.c"] == pytest.approx(2.5 / 3)
    assert found["auc"] == pytest.approx((1 + 1 + 2.5 / 3) / 3)
    assert (found["sensitivity.b"], found["specificity.b"], found["specificity.c"]) == (0.5, 1.0, 2 / 3)
    assert found["sensitivity"] == pytest.approx(2.5 / 3)


def test_skill_is_twice_the_area_minus_one() -> None:
    assert TWO.skill({"auc": 0.75}) == 0.5
    assert np.isnan(TWO.skill({}))
    nan = float("nan")
    assert TWO.skill({"auc": nan, "auc.no": 0.9, "auc.yes": nan}) == pytest.approx(0.8)
