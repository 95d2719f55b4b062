"""Measures the memory that the step of a network needs beside its parameters."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks


def measure_step_bytes(network: nn.Module, compute_loss: Callable[[], Tensor], device: torch.device) -> int:
    """Measure the bytes of a step beside the parameters and their gradients.

    On a CPU these are the bytes of the tensors that autograd keeps for the backward pass; a storage counts once,
    however many operations keep it. On CUDA they are the peak of a step above what was allocated before it.

    Args:
        network: the network.
        compute_loss: runs a forward pass and returns the loss.
        device: where the network is.
    """
    if device.type != "cuda":
        return _measure_kept_bytes(network, compute_loss)
    # The first step allocates what stays, such as gradients and the workspaces of cuDNN.
    compute_loss().backward()
    network.zero_grad(set_to_none=False)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    compute_loss().backward()
    return int(torch.cuda.max_memory_allocated(device) - before)


def _measure_kept_bytes(network: nn.Module, compute_loss: Callable[[], Tensor]) -> int:
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    bytes_by_storage: dict[int, int] = {}
    alive: list[Tensor] = []  # kept until the end, so that no address is used twice

    def pack(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        bytes_by_storage[storage.data_ptr()] = storage.nbytes()
        alive.append(x.detach())
        # A detached copy: the tensor itself would refer to its own graph node and never be freed.
        return x.detach()

    with saved_tensors_hooks(pack, lambda x: x):
        compute_loss()
    return sum(size for place, size in bytes_by_storage.items() if place not in weights)
