"""Parts of the loop that need no training: averages of weights, and the losses in the log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from polytask.training.interrupt import StopSignal
from polytask.training.loop import (
    RunningMeans,
    add_gradient_norm,
    agree_on_stop,
    evaluate_on_tune,
    group_batches,
    has_run_out_of_patience,
    update_average,
)


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
    assert add_gradient_norm({"grade": 0.5}, 7.0, ["grade"]) == {"grade": 0.5, "norm": 7.0}
    assert add_gradient_norm({"norm": 0.5}, 7.0, ["norm"]) == {"norm": 0.5}
    assert add_gradient_norm({"grade": 0.5}, 7.0, ["grade", "norm"]) == {"grade": 0.5}, (
        "in an epoch without it"
    )


def test_patience_counts_evaluations_and_0_is_endless() -> None:
    ended = {(p, s): has_run_out_of_patience(p, s) for p in (0, 1, 3) for s in range(4)}
    assert [pair for pair, yes in ended.items() if yes] == [(1, 1), (1, 2), (1, 3), (3, 3)]


def test_only_a_higher_skill_on_tune_is_a_better_checkpoint() -> None:
    kept: list[int] = []
    skills = iter([-2.0, -2.0, 0.5, 0.4, 0.6])
    state: Any = SimpleNamespace(network=torch.nn.Linear(1, 1), best=-float("inf"), best_epoch=-1, stale=0)
    stale = []
    for epoch in range(5):
        around: Any = SimpleNamespace(
            tune=lambda: (next(skills), {}), keep_best=lambda e=epoch: kept.append(e)
        )
        evaluate_on_tune(state, around, epoch)
        stale.append(state.stale)
    assert kept == [0, 2, 4]
    assert stale == [0, 1, 0, 1, 0]
    assert (state.best, state.best_epoch) == (0.6, 4)
    assert state.network.training


def test_a_skill_that_no_task_defines_still_leaves_a_checkpoint() -> None:
    kept = []
    state: Any = SimpleNamespace(network=torch.nn.Linear(1, 1), best=-float("inf"), best_epoch=-1, stale=0)
    around: Any = SimpleNamespace(tune=lambda: (float("nan"), {}), keep_best=lambda: kept.append(1))
    evaluate_on_tune(state, around, 0)
    assert kept == [1]


def test_means_are_over_finite_losses_and_presence_is_over_all_steps() -> None:
    sums = RunningMeans()
    for losses in ({"a": 1.0, "b": 4.0}, {"a": 3.0}, {"a": float("nan")}, {}):
        sums.add(losses)
    assert sums.means() == {"a": 2.0, "b": 4.0}
    assert sums.present(["a", "b", "c"]) == {"a": 0.75, "b": 0.25, "c": 0.0}
    again = RunningMeans()
    again.load(sums.as_dict())
    again.add({"b": 0.0})
    assert again.means() == {"a": 2.0, "b": 2.0}
    assert again.present(["b"]) == {"b": 0.4}
    assert sums.present(["b"]) == {"b": 0.25}, "what was kept stays as it was"


def test_batches_are_accumulated_in_groups_and_the_last_may_be_short() -> None:
    batches: Any = range(5)
    assert list(group_batches(batches, 2)) == [[0, 1], [2, 3], [4]]


def test_all_processes_stop_where_one_was_asked_to() -> None:
    """Stands for a second process that was asked with signal 15: sums over both hold it."""

    class Asking:
        size, device = 2, torch.device("cpu")

        def total(self, value: torch.Tensor) -> torch.Tensor:
            return value + 15

    both: Any = Asking()
    asked = StopSignal()
    assert agree_on_stop(asked, both) == 15
    assert asked.signal == 0, "this process itself was not asked"
    asked.signal = 2
    assert agree_on_stop(asked, both) == 2


def test_a_process_alone_asks_nobody() -> None:
    asked = StopSignal()
    alone: Any = SimpleNamespace(size=1)
    assert agree_on_stop(asked, alone) == 0
    asked.signal = 2
    assert agree_on_stop(asked, alone) == 2
