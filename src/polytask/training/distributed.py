"""One process or many: which one this is, and sums over all of them.

torchrun starts the processes; without it there is only this one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from polytask.errors import PolytaskError
from polytask.training.device_speedups import NO_SPEEDUPS, DeviceSpeedups, choose_speedups


@dataclass(frozen=True)
class World:
    """This process among `size` processes, the device it uses, and what makes steps faster there."""

    rank: int
    size: int
    device: torch.device
    speedups: DeviceSpeedups = NO_SPEEDUPS

    @property
    def chief(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over all processes; returns a new tensor."""
        if self.size == 1:
            return tensor
        summed = tensor.clone()
        dist.all_reduce(summed)
        return summed

    def share_number(self, number: int) -> int:
        """Return the whole number of the first process in all of them."""
        # The others add 0. In int64, because a float32 holds no more than 24 bits of it.
        return int(self.total(torch.tensor(number if self.chief else 0)))

    def wait(self) -> None:
        """Wait until every process has reached this line."""
        if self.size > 1:
            dist.barrier()

    def add_gradients(self, parameters: Sequence[Parameter]) -> None:
        """Sum the gradients over all processes in one message. A parameter for which
        nobody has a gradient keeps None."""
        if self.size == 1:
            return
        message = self.total(pack_gradients(parameters, self.device))
        has_gradient, sums = message[: len(parameters)], message[len(parameters) :]
        for known, parameter, values in zip(
            has_gradient.tolist(), parameters, sums.split([p.numel() for p in parameters]), strict=True
        ):
            parameter.grad = values.view_as(parameter).to(parameter.dtype) if known else None


def pack_gradients(parameters: Sequence[Parameter], device: torch.device) -> Tensor:
    """Pack a flag for each parameter, and all gradients, into one message in float32.

    All processes must send messages of one length, so a missing gradient is sent as zeros. A flag tells it from a
    gradient of zeros: with None the optimizer leaves a parameter alone, with zeros it decays it.
    """
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    has_gradient = torch.tensor([float(p.grad is not None) for p in parameters], device=device)
    return torch.cat([has_gradient, *[g.detach().float().flatten() for g in gradients]])


def choose_device(name: str | None) -> torch.device:
    """Return the device that a person names (`cpu`, `cuda`, `cuda:1`, `mps`), or the best one there is."""
    if name is None:
        return find_best_device()
    kind, colon, number = name.partition(":")
    devices_by_kind = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }
    if kind not in devices_by_kind or (colon and not number.isdigit()):
        raise PolytaskError(f"device {name!r} is not known; expected one of cpu, cuda, cuda:0, mps")
    if int(number or 0) >= devices_by_kind[kind]:
        has = ", ".join(k for k, n in devices_by_kind.items() if n)
        raise PolytaskError(
            f"device {name!r}: this machine has no such device; it has {has}; choose another --device"
        )
    index = number or (os.environ.get("LOCAL_RANK", "0") if kind == "cuda" else "")
    return torch.device(kind, int(index)) if index else torch.device(kind)


def find_best_device() -> torch.device:
    """Return the CUDA device of this process if there is one, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@contextmanager
def join_world(device: str | None = None) -> Iterator[World]:
    """Join the processes that torchrun has started (its environment variables say so), or work alone."""
    place = choose_device(device)
    size = int(os.environ.get("WORLD_SIZE", "1"))
    started = size > 1 and not dist.is_initialized()
    if place.type == "cuda":
        torch.cuda.set_device(place)
    if started:
        # Numbers in host memory are summed there, so that no process waits for its device.
        dist.init_process_group("cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank() if size > 1 else 0, size, place, choose_speedups(place))
    finally:
        if started:
            dist.destroy_process_group()
