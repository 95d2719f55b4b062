"""Learnt numbers, one for each task."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.balance.adam import start_adam, step_adam
from polytask.balance.rule import RuleInput


def see(*present: int) -> RuleInput:
    return RuleInput(np.array(present), np.ones(len(present)), np.zeros((0, 0)))


def test_numbers_begin_where_they_are_said_to() -> None:
    assert start_adam(2)["value"].tolist() == [0.0, 0.0]
    assert start_adam(2, 0.5)["value"].tolist() == [0.5, 0.5]
    assert start_adam(2)["steps"].tolist() == [0.0, 0.0]


def test_a_step_by_hand() -> None:
    """The first moves by the rate; of slopes 1 and 3 the second by 0.39/0.19 ÷ √(0.009999/0.001999) of it."""
    memory = step_adam(start_adam(1), see(0), np.array([1.0]), 0.1)
    assert memory["value"][0] == pytest.approx(-0.1)
    memory = step_adam(memory, see(0), np.array([3.0]), 0.1)
    first, second = 0.9 * 0.1 + 0.1 * 3, 0.999 * 0.001 + 0.001 * 9
    assert (memory["first"][0], memory["second"][0]) == (pytest.approx(first), pytest.approx(second))
    assert memory["value"][0] == pytest.approx(-0.1 - 0.1 * (first / 0.19) / np.sqrt(second / 0.001999))
    assert memory["steps"].tolist() == [2.0]


def test_a_slope_of_nothing_moves_nothing_and_a_tiny_one_less() -> None:
    assert step_adam(start_adam(1), see(0), np.zeros(1), 0.1)["value"].tolist() == [0.0]
    tiny = step_adam(start_adam(1), see(0), np.array([1e-8]), 0.1)
    assert tiny["value"][0] == pytest.approx(-0.05, rel=1e-3)


def test_without_a_decay_a_number_stays() -> None:
    memory = {**start_adam(2), "value": np.array([2.0, 3.0])}
    assert step_adam(memory, see(0, 1), np.zeros(2), 0.1)["value"].tolist() == [2.0, 3.0]


def test_tasks_that_are_not_seen_stand_still() -> None:
    memory = step_adam(start_adam(2), see(1), np.array([1.0]), 0.1)
    assert memory["value"].tolist() == pytest.approx([0.0, -0.1])
    assert memory["steps"].tolist() == [0.0, 1.0]
