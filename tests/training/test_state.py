"""What a run remembers: counters from 0, and weights, of which those of another version are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.training.state import put_weights
from tests.model.worlds import inputs_of, network_of, tasks_of, total
from tests.training.worlds import state_of


def test_before_the_first_step_nothing_is_done_skipped_or_best() -> None:
    state = state_of(["grade"])
    assert (state.step, state.skipped, state.in_a_row, state.stale) == (0, 0, 0, 0)
    assert (state.best, state.best_epoch, state.finished) == (-float("inf"), -1, False)
    assert state.average is None


def test_counters_come_back_from_a_checkpoint_of_the_same_plan_only(tmp_path: Path) -> None:
    saved, read = state_of(["grade"]), state_of(["grade"])
    saved.step, saved.skipped, saved.best, saved.best_epoch = 7, 3, 0.25, 2
    saved.save(tmp_path, "a plan")
    read.load(tmp_path, "a plan")
    assert (read.step, read.skipped, read.best, read.best_epoch) == (7, 3, 0.25, 2)
    with pytest.raises(PolytaskError, match="a checkpoint of another plan"):
        read.load(tmp_path, "another plan")


def test_weights_that_do_not_fit_are_refused_and_nothing_is_changed() -> None:
    network = network_of(tasks_of("visit"), 2)
    kept = {k: v.clone() for k, v in network.state_dict().items()}
    renamed = {k.replace("branches", "heads"): v + 1 for k, v in kept.items()}
    narrow = {k: v[:1] + 1 if v.dim() else v for k, v in kept.items()}
    for weights in (renamed, narrow):
        with pytest.raises(PolytaskError, match="another version of Polytask") as error:
            put_weights(network, weights, Path("run/best"))
        assert str(error.value).startswith("run/best: ")
    assert all(torch.equal(kept[k], v) for k, v in network.state_dict().items())


def test_weights_that_fit_are_taken() -> None:
    one, other = (network_of(tasks_of("visit"), 2) for _ in range(2))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.1)
    before = total(one(inputs_of(2))["grade"])
    put_weights(one, other.state_dict(), Path("run/best"))
    assert not torch.equal(before, total(one(inputs_of(2))["grade"]))
