"""A function of the Gramian is asked about the tasks that have a gradient."""

from __future__ import annotations

import numpy as np

from polytask.balance.gramian_rule import GramianRule
from polytask.balance.rule import MIN_POSITIVE_LOSS, Array, RuleInput


def double_the_diagonal(gramian: Array, draw: np.random.Generator) -> Array:
    assert len(gramian) > 1
    return np.asarray(2 * np.diag(gramian) + gramian[0, -1])


def weigh(gramian: list[list[float]]) -> list[float]:
    seen = RuleInput(np.arange(len(gramian)), np.ones(len(gramian)), np.array(gramian))
    found: list[float] = GramianRule(double_the_diagonal).weigh(seen, {})[0].tolist()
    return found


def test_all_that_have_a_gradient_are_weighed_together() -> None:
    assert weigh([[1.0, 0.5], [0.5, 3.0]]) == [2.5, 6.5]


def test_one_without_a_gradient_stands_aside() -> None:
    assert weigh([[1.0, 0.0, 0.25], [0.0, 0.0, 0.0], [0.25, 0.0, 3.0]]) == [2.25, 1.0, 6.25]


def test_one_alone_is_not_weighed() -> None:
    assert weigh([[4.0, 0.0], [0.0, 0.0]]) == [1.0, 1.0]
    assert weigh([[4.0]]) == [1.0]
    assert weigh([[0.0]]) == [1.0]


def test_a_loss_is_never_quite_nothing() -> None:
    seen = RuleInput(np.arange(3), np.array([0.0, 1e-9, 2.0]), np.zeros((0, 0)))
    assert seen.positive.tolist() == [1e-8, 1e-8, 2.0]
    assert MIN_POSITIVE_LOSS == 1e-8
    assert seen.epoch == 0
    assert seen.draw.random() == np.random.default_rng(0).random()
