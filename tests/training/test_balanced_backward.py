"""One step over two processes, without starting them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from polytask.balance.gradient_sites import FeatureSite, ParameterSite
from polytask.training.balanced_backward import BalancedBackward
from tests.training.worlds import ALONE, settings_of, state_of


class Twins:
    """A world of two processes that have found the same."""

    size, rank, device = 2, 0, torch.device("cpu")

    def total(self, value: torch.Tensor) -> torch.Tensor:
        return 2 * value


def test_gramians_of_features_add_up_and_gradients_of_parameters_do() -> None:
    """Features of different samples are orthogonal: inner products add up. Parameters are the same everywhere: their
    gradients add up first, and inner products of twice as long ones are four times as large."""
    world: Any = Twins()
    anything: Any = None
    turn = BalancedBackward(anything, 0, world, {})
    found = [{"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([0.0, -1.0])}]
    alone = np.array([[5.0, -2.0], [-2.0, 1.0]])
    features = FeatureSite(False, [], {})
    features.leaves.shared.append(torch.zeros(2))
    np.testing.assert_allclose(turn._sum_gramian(features, found, ["a", "b"]), 2 * alone)
    np.testing.assert_allclose(turn._sum_gramian(ParameterSite([], {}), found, ["a", "b"]), 4 * alone)


def test_a_rule_is_not_asked_about_losses_that_are_not_finite() -> None:
    balancer = state_of(settings=settings_of("dwa")).balancer
    turn = BalancedBackward.of(balancer, 0, ALONE)
    losses = {"grade": torch.tensor(float("nan"), requires_grad=True), "type": torch.tensor(0.5)}
    turn.backward(losses, {"grade": 1.0, "type": 1.0})
    assert [w.tolist() for w in turn.weights] == [[1.0, 1.0]]
    assert turn.memory is balancer.memory


def test_a_rule_is_asked_where_several_tasks_have_finite_losses() -> None:
    balancer = state_of(settings=settings_of("famo")).balancer
    turn = BalancedBackward.of(balancer, 0, ALONE)
    turn.backward({"grade": torch.tensor(1.0), "type": torch.tensor(0.25)}, {"grade": 1.0, "type": 1.0})
    np.testing.assert_allclose(turn.weights, [[0.4, 1.6]], err_msg="equal shares ÷ losses, summing to 2")
