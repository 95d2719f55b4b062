"""Mean losses of finished epochs, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from polytask.balance.epoch_means import add_batch_losses, read_past_means, roll_epoch, softmax, start_history
from polytask.balance.rule import RuleInput, RuleMemory


def see(losses: list[float], epoch: int, present: list[int] | None = None) -> RuleInput:
    at = np.arange(len(losses)) if present is None else np.array(present)
    return RuleInput(at, np.array(losses), np.zeros((0, 0)), epoch)


def run(*batches: RuleInput) -> RuleMemory:
    memory = start_history(2, 2)
    for seen in batches:
        memory = add_batch_losses(roll_epoch(memory, seen), seen)
    return memory


def test_an_epoch_that_ends_leaves_its_mean() -> None:
    memory = run(see([1.0, 2.0], 0), see([3.0, 4.0], 0), see([0.5, 0.5], 1))
    assert np.isnan(memory["past"][0]).all()
    assert memory["past"][1].tolist() == [2.0, 3.0]
    assert (memory["sum"].tolist(), memory["count"].tolist(), memory["epoch"].tolist()) == (
        [0.5, 0.5],
        [1, 1],
        [1],
    )
    memory = roll_epoch(memory, see([0.0, 0.0], 2))
    assert memory["past"].tolist() == [[2.0, 3.0], [0.5, 0.5]]
    assert read_past_means(memory, see([0.0, 0.0], 2), 1).tolist() == [0.5, 0.5]
    assert read_past_means(memory, see([0.0], 2, [1]), 2).tolist() == [3.0]


def test_a_task_that_an_epoch_did_not_see_keeps_its_last_mean() -> None:
    memory = run(see([1.0, 2.0], 0), see([7.0], 1, [0]))
    memory = roll_epoch(memory, see([0.0, 0.0], 2))
    assert memory["past"].tolist() == [[1.0, 2.0], [7.0, 2.0]]
    never = roll_epoch(run(see([1.0], 0, [0])), see([0.0], 1, [0]))
    assert np.isnan(never["past"][1]).tolist() == [False, True]


def test_shares_of_powers() -> None:
    assert softmax(np.array([0.0, np.log(3.0)])).tolist() == pytest.approx([0.25, 0.75])
    assert softmax(np.array([1000.0, 1000.0])).tolist() == [0.5, 0.5]
