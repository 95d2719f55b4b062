"""What settings of rules may be."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from polytask.balance import make_rule
from polytask.balance.gramian_rule import GramianRule
from polytask.balance.rule import RuleInput
from polytask.errors import PolytaskError


@pytest.mark.parametrize(
    ("rule", "option", "value"),
    [
        ("cagrad", "c", 0.0),
        ("cagrad", "c", 1.0),
        ("famo", "decay", 0.0),
        ("stch", "warmup", 1.0),
        ("dwa", "temperature", 1e-8),
        ("gradnorm", "alpha", 1e6),
    ],
)
def test_a_setting_at_its_bound_is_fine(rule: str, option: str, value: float) -> None:
    make_rule(rule, {option: value})


@pytest.mark.parametrize(
    ("rule", "option", "value", "told"),
    [
        ("cagrad", "c", 1.1, "it is 0 to 1"),
        ("cagrad", "c", -0.1, "it is 0 to 1"),
        ("famo", "decay", -0.1, "it is 0 or more"),
        ("famo", "rate", 0.0, "it is more than 0"),
        ("stch", "warmup", 0.5, "it is more than 0"),
        ("dwa", "temperature", inf, "it is more than 0"),
        ("dwa", "temperature", nan, "it is more than 0"),
    ],
)
def test_a_setting_beyond_its_bound_is_refused(rule: str, option: str, value: float, told: str) -> None:
    with pytest.raises(PolytaskError, match=told):
        make_rule(rule, {option: value})


def test_a_loss_is_never_quite_nothing() -> None:
    seen = RuleInput(np.arange(3), np.array([0.0, 1e-8, 1.0]), np.zeros((0, 0)))
    assert seen.positive.tolist() == [1e-8, 1e-8, 1.0]
    assert seen.epoch == 0
    assert seen.draw.random() == np.random.default_rng(0).random()


def test_tasks_without_a_gradient_stand_aside() -> None:
    asked: list[int] = []

    def formula(gramian: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        asked.append(len(gramian))
        return np.full(len(gramian), 0.5)

    rule = GramianRule(formula)
    for lengths, expected in (([1.0, 0.0, 4.0], [0.5, 1.0, 0.5]), ([0.0, 0.0, 4.0], [1.0, 1.0, 1.0])):
        seen = RuleInput(np.arange(3), np.ones(3), np.diag(lengths))
        assert rule.weigh(seen, {})[0].tolist() == expected
    assert asked == [2]
