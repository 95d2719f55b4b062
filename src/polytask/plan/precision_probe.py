"""Measures for about a second whether bf16 is faster than float32 here. Loads torch, so it is imported when needed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from polytask.plan.machine import Device

MIN_BF16_GAIN = 1.15
"""The plan uses bf16 when float32 takes at least this many times as long."""
PROBE_SECONDS = 1.0
SMALL_EDGE, FULL_EDGE = 8, 32
"""Voxels along an edge of the images: of those that are tried first, and of those that decide."""
HOPELESS_GAIN = 0.25
"""A precision that takes four times as long on small images is not tried on large ones."""


def find_training_device() -> tuple[Device, int]:
    """Find the device on which torch can train, and its bytes of memory (0 if it uses the memory of the host)."""
    import torch

    if torch.cuda.is_available():
        return "cuda", int(torch.cuda.get_device_properties(0).total_memory)
    if torch.backends.mps.is_available():
        return "mps", 0
    return "cpu", 0


def probe_precision(device: Device) -> tuple[Literal["float32", "bf16"], float]:
    """Time a small 3D training step and return (precision to use, float32 time / bf16 time).

    The two precisions are timed in alternating order, and the fastest step of each counts. On a CPU the step uses one
    thread and is measured in processor time, so that other processes do not change the result. MPS gets float32,
    because its bf16 autocast is not reliable in every release. A GPU without bf16 units gets float32 too: it would
    emulate bf16 without any message.
    """
    import torch

    if device == "mps":
        return "float32", 0.0
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "float32", 0.0
    # The probe seeds torch and sets its threads. Both are restored, so that a caller that has already seeded gets the
    # same random numbers with and without the probe.
    before = torch.get_num_threads()
    state = torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        gain = _measure_bf16_gain(device)
    finally:
        torch.set_num_threads(before)
        torch.random.set_rng_state(state)
    return ("bf16" if gain >= MIN_BF16_GAIN else "float32"), gain


def _measure_bf16_gain(device: Device) -> float:
    import torch
    from torch import nn

    torch.manual_seed(0)
    width = 16 if device == "cpu" else 64
    layers: list[nn.Module] = []
    for _ in range(3):
        layers += [nn.Conv3d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.LeakyReLU()]
    net = nn.Sequential(*layers).to(device)
    clock = time.process_time if device == "cpu" else time.perf_counter

    def measure(edge: int, seconds: float) -> float:
        # Two images: float32 takes a slow path for a batch of one.
        x = torch.randn(2, width, edge, edge, edge, device=device)

        def step(bf16: bool) -> float:
            start = clock()
            with torch.autocast(device, torch.bfloat16, enabled=bf16):
                loss = net(x).float().square().mean()
            loss.backward()
            # CUDA calls return before the work is done; without waiting, only the launch would be timed.
            if device == "cuda":
                torch.cuda.synchronize()
            return clock() - start

        # The first step of each precision also chooses kernels and allocates memory, and is not timed.
        for warm in (False, True):
            step(warm)
        times: dict[bool, list[float]] = {False: [], True: []}
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times[True]) < 2:
            for bf16 in (False, True):
                times[bf16].append(step(bf16))
        return round(min(times[False]) / min(times[True]), 2)

    # A processor without bf16 units needs many seconds for one step of the full size: small images tell as much.
    small = measure(SMALL_EDGE, 0.0)
    return small if small < HOPELESS_GAIN else measure(FULL_EDGE, PROBE_SECONDS)
