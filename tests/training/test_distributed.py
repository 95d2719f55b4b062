"""Processes and devices."""

from __future__ import annotations

import pytest
import torch

from polytask.errors import PolytaskError
from polytask.training.distributed import World, choose_device, find_best_device, join_world

CPU = torch.device("cpu")


def test_a_process_alone_writes_and_adds_nothing() -> None:
    world = World(0, 1, CPU)
    value = torch.tensor([1.0])
    assert world.chief
    assert world.total(value) is value
    world.wait()
    weight = torch.nn.Parameter(torch.zeros(2))
    world.add_gradients([weight])
    assert weight.grad is None
    assert not World(1, 2, CPU).chief


class Twins(World):
    """A world of two processes that have found the same."""

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        return 2 * tensor


def test_gradients_of_all_processes_are_added_and_none_stays_none() -> None:
    weights = [
        torch.nn.Parameter(torch.zeros(2, 2)),
        torch.nn.Parameter(torch.zeros(3)),
        torch.nn.Parameter(torch.zeros(1)),
    ]
    weights[0].grad = torch.arange(4.0).reshape(2, 2)
    weights[2].grad = torch.tensor([5.0])
    Twins(0, 2, CPU).add_gradients(weights)
    assert [None if w.grad is None else w.grad.tolist() for w in weights] == [[[0, 2], [4, 6]], None, [10]]


def test_a_device_is_named_or_the_best_there_is() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("cpu:0") == torch.device("cpu", 0)
    assert choose_device(None) == find_best_device()
    for odd in ("gpu", "cuda:x", "cpu:", "cpu:1", "cuda:99"):
        with pytest.raises(PolytaskError, match="device"):
            choose_device(odd)


def test_a_second_gpu_is_named_where_there_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert (choose_device("cuda"), find_best_device()) == (torch.device("cuda", 0), torch.device("cuda", 0))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (choose_device("cuda"), find_best_device()) == (torch.device("cuda", 1), torch.device("cuda", 1))
    with pytest.raises(PolytaskError, match="no such device; it has cpu, cuda"):
        choose_device("cuda:2")


def test_who_is_started_alone_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_world("cpu") as world:
        assert world == World(0, 1, CPU)
