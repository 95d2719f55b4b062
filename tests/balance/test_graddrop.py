"""GradDrop by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polytask.balance.graddrop import GradDrop
from polytask.balance.rule import RuleInput


@pytest.mark.parametrize(
    ("draw", "kept"), [(0.0, 1.0), (0.24, 1.0), (0.25, -3.0), (0.26, -3.0), (0.99, -3.0)]
)
def test_a_quarter_of_the_gradient_is_kept_a_quarter_of_the_time(draw: float, kept: float) -> None:
    gradients = [torch.tensor([1.0]), torch.tensor([-3.0])]
    assert GradDrop().combine(gradients, torch.tensor([draw])).tolist() == [kept]


def test_each_element_is_drawn_for_itself_and_tasks_of_one_sign_add_up() -> None:
    gradients = [
        torch.tensor([1.0, 1.0, 0.0]),
        torch.tensor([2.0, -1.0, 0.0]),
        torch.tensor([0.5, -1.0, 0.0]),
    ]
    found = GradDrop().combine(gradients, torch.tensor([0.999, 0.34, 0.0]))
    assert found.tolist() == [3.5, -2.0, 0.0]
    assert GradDrop().combine(gradients, torch.tensor([0.0, 0.33, 0.5])).tolist() == [3.5, 1.0, 0.0]
    against = [-g for g in gradients]
    assert GradDrop().combine(against, torch.tensor([0.0, 0.66, 0.5])).tolist() == [-3.5, 2.0, 0.0]


def test_weights_are_one_and_nothing_is_remembered() -> None:
    rule = GradDrop()
    weights, memory = rule.weigh(RuleInput(np.arange(2), np.array([0.1, 5.0]), np.eye(2)), rule.start(2))
    assert (weights.tolist(), dict(memory), rule.reads) == ([1.0, 1.0], {}, "gradients")
