"""Weights of losses, and learning rates that a block asks for."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polytask.plan.plan_schema import Plan
from polytask.training.fitting import make_optimizer
from polytask.training.rehearsal import load_rehearsal
from polytask.training.run import train
from tests.model.worlds import network_of, tasks_of

SHORT = ["training.epochs=1", "training.steps_per_epoch=3", "training.weight_decay=0"]


def test_a_weight_of_0_takes_a_task_out_of_the_step(work: Path) -> None:
    runs = {
        name: train(work, name=name, tasks=["grade", "diameter"], overrides=[*SHORT, *more])
        for name, more in (("off", ["training.weights.grade=0"]), ("on", []))
    }
    start = load_rehearsal(work, tasks=["grade", "diameter"], changes=SHORT).state.network.state_dict()
    for name, run in runs.items():
        end = load_file(run.folder / "last" / "model.safetensors")
        moved = {
            task: any(not torch.equal(start[k], end[k]) for k in end if f"branches.members.@{task}." in k)
            for task in ("grade", "diameter")
        }
        assert moved == {"grade": name == "on", "diameter": True}


def test_a_block_gets_the_rate_it_asks_for(work: Path) -> None:
    settings = Plan.read(work).shared.training
    network = network_of(tasks_of("all"), 2, sharing="cross_stitch")
    rates = network.rates()
    assert rates
    assert all("units." in name for name in rates)
    groups = make_optimizer(network, settings).param_groups
    factor = {id(p): g["factor"] for g in groups for p in g["params"]}
    assert len(factor) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        assert factor[id(parameter)] == pytest.approx(rates.get(name, 1.0))


def test_the_rate_of_a_step_is_multiplied(work: Path) -> None:
    found = load_rehearsal(work, changes=["model.sharing=cross_stitch", *SHORT])
    found.step(found.batches(1)[0])
    rates = {round(g["lr"] * 1e6, 6) for g in found.state.optimizer.param_groups}
    assert rates == {1.0, 10.0}
