"""Rules that look at how fast losses fall."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.balance.progress_rules import DynamicWeightAverage, FamoWeights, GradNorm
from polytask.balance.rule import RuleInput

NONE = np.zeros((0, 0))


def see(losses: list[float], epoch: int = 0, gramian: np.ndarray = NONE) -> RuleInput:
    return RuleInput(np.arange(len(losses)), np.array(losses), gramian, epoch)


def test_settings_are_those_of_the_papers() -> None:
    assert DynamicWeightAverage().temperature == 2.0
    assert (GradNorm().alpha, GradNorm().rate) == (1.5, 0.025)
    assert (FamoWeights().rate, FamoWeights().decay) == (0.025, 1e-3)


def test_a_loss_that_was_nothing_counts_as_hardly_anything() -> None:
    rule = DynamicWeightAverage()
    memory = rule.start(2)
    for epoch, losses in enumerate([[0.0, 1.0], [1e-8, 1.0]]):
        _, memory = rule.weigh(see(losses, epoch), memory)
    assert rule.weigh(see([1.0, 1.0], 2), memory)[0].tolist() == pytest.approx([1.0, 1.0])
    famo = FamoWeights()
    assert famo.weigh(see([0.0, 1e-8]), famo.start(2))[0].tolist() == pytest.approx([1.0, 1.0])
    after = famo.learn(see([1.0, 1.0]), np.array([0.0, 1e-8]), famo.start(2))
    assert after["value"].tolist() == [0.0, 0.0]


def test_weights_sum_to_the_number_of_tasks() -> None:
    rule = FamoWeights()
    memory = {**rule.start(3), "value": np.array([0.0, np.log(2.0), 0.0])}
    found = rule.weigh(see([1.0, 1.0, 0.5]), memory)[0]
    assert found.tolist() == pytest.approx([0.6, 1.2, 1.2])


def test_a_gradient_that_rounding_made_negative_is_nothing() -> None:
    rule = GradNorm()
    gramian = np.diag([-1e-12, 4.0])
    _, memory = rule.weigh(see([1.0, 1.0], 0, gramian), rule.start(2))
    found, memory = rule.weigh(see([1.0, 1.0], 1, gramian), memory)
    assert np.isfinite(memory["value"]).all()
    assert found.tolist() == [1.0, 1.0]


def test_weights_are_a_share_of_the_number_of_tasks() -> None:
    rule = GradNorm()
    _, memory = rule.weigh(see([1.0, 1.0], 0, np.eye(2)), rule.start(2))
    _, memory = rule.weigh(see([1.0, 1.0], 1, np.eye(2)), memory)
    memory = {**memory, "value": np.array([0.0, np.log(3.0)])}
    assert rule.weigh(see([1.0, 1.0], 1, np.eye(2)), memory)[0].tolist() == pytest.approx([0.5, 1.5])
