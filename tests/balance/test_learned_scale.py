"""Learnt scales of losses."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from polytask.balance.learned_scale import ImtlL, UncertaintyWeights
from polytask.balance.rule import RuleInput


def see(losses: list[float]) -> RuleInput:
    return RuleInput(np.arange(len(losses)), np.array(losses), np.zeros((0, 0)))


def test_the_first_step_is_the_rate() -> None:
    for rule, rate, sign in ((UncertaintyWeights(), 0.01, 1.0), (ImtlL(), 0.02, -1.0)):
        _, memory = rule.weigh(see([4.0, 0.1]), rule.start(2))
        assert memory["value"] == pytest.approx([sign * rate, -sign * rate])


def test_a_loss_where_the_rule_rests_moves_nothing() -> None:
    for rule in (UncertaintyWeights(), ImtlL()):
        _, memory = rule.weigh(see([1.0]), rule.start(1))
        assert memory["value"].tolist() == [0.0]


def test_scales_end_at_twenty() -> None:
    far = {"value": np.array([19.0, 25.0, -19.0, -25.0])}
    uncertainty, scale = UncertaintyWeights(), ImtlL()
    seen = see([1.0] * 4)
    found = uncertainty.weigh(seen, {**uncertainty.start(4), **far})[0]
    assert found.tolist() == pytest.approx([0.5 * exp(-19), 0.5 * exp(-20), 0.5 * exp(19), 0.5 * exp(20)])
    found = scale.weigh(seen, {**scale.start(4), **far})[0]
    assert found.tolist() == pytest.approx([exp(19), exp(20), exp(-19), exp(-20)])
