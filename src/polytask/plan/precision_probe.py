"""Measures for about a second whether bf16 is faster than float32 here, and how fast a training step is.

It loads torch, so it is imported when needed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from polytask.plan.machine import Device

Precision = Literal["float32", "bf16"]
MIN_BF16_GAIN = 1.15
"""The plan uses bf16 when float32 takes at least this many times as long."""
PROBE_SECONDS = 1.0
SMALL_EDGE, FULL_EDGE = 8, 32
"""Voxels along an edge of the images: of those that are tried first, and of those that decide."""
HOPELESS_GAIN = 0.25
"""A precision that takes four times as long on small images is not tried on large ones."""
PROBE_LAYERS = 3
PROBE_WIDTH = {"cpu": 16, "cuda": 64}
"""Channels of the layers: those of the first stage on a CPU, and of the stages that cost most on a GPU."""


@dataclass(frozen=True)
class StepProbe:
    """Precision and speed of a training step, as the probe measured them.

    Args:
        precision: the number format to use.
        gain: float32 time / bf16 time; 0 when it was not measured.
        speed: FLOP/s of the training step in this precision (of one thread on a CPU); 0 when it was not measured.
    """

    precision: Precision
    gain: float = 0.0
    speed: float = 0.0


def find_training_device() -> tuple[Device, int]:
    """Find the device on which torch can train, and its bytes of memory (0 if it uses the memory of the host)."""
    import torch

    if torch.cuda.is_available():
        return "cuda", int(torch.cuda.get_device_properties(0).total_memory)
    if torch.backends.mps.is_available():
        return "mps", 0
    return "cpu", 0


def probe_precision(device: Device) -> tuple[Precision, float]:
    """Time a small 3D training step and return (precision to use, float32 time / bf16 time)."""
    probe = probe_training_step(device)
    return probe.precision, probe.gain


def probe_training_step(device: Device) -> StepProbe:
    """Time a small 3D training step in both precisions.

    They are timed in alternating order, and the fastest step of each counts. On a CPU the step uses one
    thread and is measured in processor time, so that other processes do not change the result. MPS gets float32,
    because its bf16 autocast is not reliable in every release. A GPU without bf16 units gets float32 too: it would
    emulate bf16 without any message.
    """
    import torch

    if device == "mps":
        return StepProbe("float32")
    if device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return StepProbe("float32")
    # The probe seeds torch and sets its threads. Both are restored, so that a caller that has already seeded gets the
    # same random numbers with and without the probe.
    before = torch.get_num_threads()
    state = torch.random.get_rng_state()
    torch.set_num_threads(1)
    try:
        gain, speeds = _measure_training_step(device)
    finally:
        torch.set_num_threads(before)
        torch.random.set_rng_state(state)
    precision: Precision = "bf16" if gain >= MIN_BF16_GAIN else "float32"
    return StepProbe(precision, gain, speeds[precision])


def _measure_training_step(device: Device) -> tuple[float, dict[Precision, float]]:
    """Return float32 time / bf16 time, and the FLOP/s of each precision that was tried on images of the full size."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    width = PROBE_WIDTH[device]
    layers: list[nn.Module] = []
    for _ in range(PROBE_LAYERS):
        layers += [nn.Conv3d(width, width, 3, padding=1, bias=False), nn.GroupNorm(4, width), nn.LeakyReLU()]
    net = nn.Sequential(*layers).to(device)
    clock = time.process_time if device == "cpu" else time.perf_counter

    def measure(edge: int, seconds: float, precisions: tuple[Precision, ...]) -> dict[Precision, float]:
        """Return the seconds of the fastest step by precision."""
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
        for precision in precisions:
            step(precision == "bf16")
        times: dict[Precision, list[float]] = {p: [] for p in precisions}
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or min(map(len, times.values())) < 2:
            for precision in precisions:
                # The clock of a busy virtual machine can stand still during a short step, which then tells nothing.
                if (elapsed := step(precision == "bf16")) > 0:
                    times[precision].append(elapsed)
        return {p: min(each) for p, each in times.items()}

    # A processor without bf16 units needs many seconds for one step of the full size: small images tell as much.
    small = measure(SMALL_EDGE, 0.0, ("float32", "bf16"))
    gain = small["float32"] / small["bf16"]
    fastest = measure(FULL_EDGE, PROBE_SECONDS, ("float32",) if gain < HOPELESS_GAIN else ("float32", "bf16"))
    if "bf16" in fastest:
        gain = fastest["float32"] / fastest["bf16"]
    # Forward and backward pass: three times the multiplications of the layers, but the first one needs no gradient of
    # its input.
    work = 2 * 2 * FULL_EDGE**3 * 27 * width**2 * (3 * PROBE_LAYERS - 1)
    return round(gain, 2), {p: float(f"{work / s:.3g}") for p, s in fastest.items()}
