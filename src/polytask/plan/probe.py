"""One second of measuring: is bf16 quicker than float32 here? Loads torch, so it is imported only when asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from polytask.plan.machine import Device

WORTH = 1.15
"""bf16 is taken when float32 needs at least this many times as long."""
SECONDS = 1.0


def find_device() -> tuple[Device, int]:
    """Where torch can train, and the bytes of memory there (0 on a CPU, and where the device shares the host's)."""
    import torch

    if torch.cuda.is_available():
        return "cuda", int(torch.cuda.get_device_properties(0).total_memory)
    if torch.backends.mps.is_available():
        return "mps", 0
    return "cpu", 0


def probe_precision(device: Device) -> tuple[Literal["float32", "bf16"], float]:
    """(precision, float32 time / bf16 time) of a small 3D training step.

    The two are timed in turn and the quickest of each counts; on a CPU with one thread, in processor time, so that
    other processes do not decide. MPS has no dependable bf16 autocast in every release: float32 there. A GPU
    without bf16 units is refused by name, since emulation passes silently.
    """
    import torch

    if device == "mps":
        return "float32", 0.0
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float32", 0.0
    before = torch.get_num_threads()
    state = torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        gain = _gain(device)
    finally:
        torch.set_num_threads(before)
        torch.random.set_rng_state(state)
    return ("bf16" if gain >= WORTH else "float32"), gain


def _gain(device: Device) -> float:
    import torch
    from torch import nn

    torch.manual_seed(0)
    width = 16 if device == "cpu" else 64
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Conv3d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.LeakyReLU()]
    net = nn.Sequential(*layers).to(device)
    x = torch.randn(2, width, 32, 32, 32, device=device)  # two: float32 takes a slow path for a batch of one
    clock = time.process_time if device == "cpu" else time.perf_counter

    def step(bf16: bool) -> float:
        start = clock()
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            loss = net(x).float().square().mean()
        loss.backward()
        if device == "cuda":
            torch.cuda.synchronize()
        return clock() - start

    for warm in (False, True):
        step(warm)
    times: dict[bool, list[float]] = {False: [], True: []}
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[True]) < 2:
        for bf16 in (False, True):
            times[bf16].append(step(bf16))
    return round(min(times[False]) / min(times[True]), 2)
