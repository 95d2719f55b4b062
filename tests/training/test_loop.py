"""Parts of the loop that need no training: averages of weights, and the losses in the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from polytask.training.loop import name_norm, update_average


def test_the_average_keeps_as_much_of_itself_as_the_decay_says() -> None:
    """0.9 of what it was and 0.1 of the new weights; from the first weights on, and apart from them."""
    network = torch.nn.Linear(1, 1, bias=False)
    state: Any = SimpleNamespace(network=network, average=None)
    seen = []
    for value in (1.0, 2.0, 4.0):
        torch.nn.init.constant_(network.weight, value)
        update_average(state, 0.9)
        seen.append(state.average["weight"].item())
    assert seen == pytest.approx([1.0, 0.9 * 1 + 0.1 * 2, 0.9 * 1.1 + 0.1 * 4])
    assert network.weight.item() == 4.0


def test_without_a_decay_there_is_no_average() -> None:
    state: Any = SimpleNamespace(network=torch.nn.Linear(1, 1), average=None)
    update_average(state, 0.0)
    assert state.average is None


def test_a_task_called_norm_keeps_its_loss() -> None:
    assert name_norm({"grade": 0.5}, 7.0, ["grade"]) == {"grade": 0.5, "norm": 7.0}
    assert name_norm({"norm": 0.5}, 7.0, ["norm"]) == {"norm": 0.5}
    assert name_norm({"grade": 0.5}, 7.0, ["grade", "norm"]) == {"grade": 0.5}, "in an epoch without it"
