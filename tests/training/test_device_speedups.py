"""Each device gets its levers, and a rehearsal takes other ones from its caller."""

from __future__ import annotations

from dataclasses import astuple, replace
from pathlib import Path

import pytest
import torch

from polytask.training.device_speedups import MAX_STEPS_AHEAD, NO_SPEEDUPS, choose_speedups
from polytask.training.distributed import join_world
from polytask.training.rehearsal import load_rehearsal


@pytest.mark.parametrize("name", ["cpu", "mps"])
def test_only_cuda_has_levers(name: str) -> None:
    assert choose_speedups(torch.device(name)) == NO_SPEEDUPS
    assert not any(astuple(NO_SPEEDUPS))
    assert astuple(choose_speedups(torch.device("cuda:1"))) == (True, True, True, MAX_STEPS_AHEAD)


def test_a_training_has_the_levers_of_its_device_and_a_rehearsal_those_it_is_given(work: Path) -> None:
    with join_world("cpu") as world:
        assert world.speedups == NO_SPEEDUPS
    levers = replace(NO_SPEEDUPS, fused_optimizer=True)
    assert load_rehearsal(work, device="cpu").context.world.speedups == NO_SPEEDUPS
    assert load_rehearsal(work, device="cpu", speedups=levers).context.world.speedups == levers
