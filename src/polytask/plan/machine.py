"""Finds out what the plan may use: CPU cores, memory, a device, and the precision that is fast on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache
from math import log2
from pathlib import Path
from typing import Literal

from polytask.documents.text_reader import read_text
from polytask.errors import PolytaskError

Device = Literal["cpu", "cuda", "mps"]
GIB = 1024**3
MAX_TRAINING_THREADS = 16
"""More threads than this do not speed up the convolutions of one small batch."""
TRAINING_FLOPS = {
    "cpu": {"float32": 45e9, "bf16": 100e9},
    "cuda": {"float32": 6e12, "bf16": 15e12},
    "mps": {"float32": 1e12, "bf16": 1e12},
}
"""Training FLOP/s that these networks reach: per thread on a CPU, per device otherwise. Rough values, to choose sizes
only."""
SMALLEST_BATCH_SECONDS = {"cpu": 2.5, "cuda": 2.5, "mps": 2.5}
"""Time limit of one training step with the smallest batch, beside the limit of the memory: on a GPU it binds only where
the device is slow for its memory."""
LARGER_BATCH_SECONDS = {"cpu": 0.6, "cuda": 2.5, "mps": 0.6}
"""Time limit of one training step with a larger batch; the batch grows only while a step stays below it."""
DEVICE_MEMORY_SHARE = 0.85
"""Share of a GPU's memory that a step fills; the rest is for the CUDA context, the screen and fragments."""
MAX_MEMORY_GB = 1e6
"""Largest memory that `--memory` and a machine file may state."""


@dataclass(frozen=True)
class Machine:
    """Facts about a machine that the rules use; given by hand in tests and to plan for another machine.

    Args:
        cores: number of CPU cores that this process may use.
        memory: bytes of host memory (of the system or the container, or given by `--memory`).
        device: where training will run.
        device_memory: bytes of memory on the device, 0 on a CPU.
        precision: the number format that is fast and safe on the device.
        gain: float32 time / bf16 time of the probe's training step; 0 when the probe did not run.
        measured_speed: FLOP/s of the probe's training step in `precision` (of one thread on a CPU); 0 when the probe
            did not run, and typical values take its place.
        fixed_threads: number of threads set by hand; 0 when it follows from the cores.
    """

    cores: int
    memory: int
    device: Device = "cpu"
    device_memory: int = 0
    precision: Literal["float32", "bf16"] = "float32"
    gain: float = 0.0
    measured_speed: float = 0.0
    fixed_threads: int = 0

    @property
    def threads(self) -> int:
        """Number of threads of a training process."""
        return self.fixed_threads or max(1, min(self.cores, MAX_TRAINING_THREADS))

    @property
    def speed(self) -> float:
        """FLOP/s to expect during training; announced times follow it."""
        each = self.measured_speed or TRAINING_FLOPS[self.device][self.precision]
        return each * (self.threads if self.device == "cpu" else 1)

    @property
    def rounded_speed(self) -> float:
        """FLOP/s from which sizes are decided: a measured speed counts as the nearest power of two.

        A probe never measures the same twice. Rounded, it gives the same sizes on the same kind of machine.
        """
        if not self.measured_speed:
            return self.speed
        rounded = float(2 ** round(log2(self.measured_speed)))
        return rounded * (self.threads if self.device == "cpu" else 1)

    @property
    def budget(self) -> int:
        """Bytes that the activations and the model of one step may take."""
        # On shared host memory (CPU, MPS) the other half stays for the store, the workers and other programs.
        return int(self.device_memory * DEVICE_MEMORY_SHARE) if self.device == "cuda" else self.memory // 2

    def __str__(self) -> str:
        parts = [f"{self.cores} cores", f"{self.memory / GIB:.0f} GiB"]
        if self.device != "cpu":
            parts.append(
                f"{self.device}" + (f" {self.device_memory / GIB:.0f} GiB" if self.device_memory else "")
            )
        return ", ".join(parts)


def detect_machine(memory: float | None = None) -> Machine:
    """Describe this machine; `memory` (GB) replaces the size that was found, on the GPU when there is one."""
    return replace_memory(_detect_machine_once(), memory)


def replace_memory(machine: Machine, memory: float | None) -> Machine:
    """Return the machine with another memory in GB: that of the GPU when there is one, else that of the host."""
    check_memory(memory)
    if memory is None:
        return machine
    # GB of the option are powers of ten, as on the label of a device; GIB, in reasons, is a power of two.
    size = int(memory * 1e9)
    host = min(machine.memory, size) if machine.device == "cuda" else size
    device = size if machine.device == "cuda" else machine.device_memory
    return replace(machine, memory=host, device_memory=device)


def check_memory(memory: float | None) -> None:
    """Check a memory in GB that was given by hand.

    Raises:
        PolytaskError: no machine can have it.
    """
    # NaN compares as false, so that it is refused too.
    if memory is not None and not 0 < memory <= MAX_MEMORY_GB:
        raise PolytaskError(f"--memory {memory:g}: expected GB of memory, a number such as 8 or 24")


@cache
def _detect_machine_once() -> Machine:
    from polytask.plan.precision_probe import find_training_device, probe_training_step

    device, device_memory = find_training_device()
    probe = probe_training_step(device)
    return Machine(
        count_usable_cores(),
        measure_host_memory(),
        device,
        device_memory,
        probe.precision,
        probe.gain,
        probe.speed,
    )


def count_usable_cores() -> int:
    """Count the CPU cores that this process may use, including the limit of a container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A container limits processor time, not cores: "200000 100000" means 200 ms in every 100 ms, that is two cores.
    # "max" in place of the first number means no limit.
    words = _read_cgroup_file(Path("/sys/fs/cgroup/cpu.max")).split()
    if len(words) == 2 and words[0].isdigit():
        count = min(count, max(1, int(words[0]) // int(words[1])))
    return max(1, count)


def measure_host_memory() -> int:
    """Return the bytes of host memory, including the limit of a container; 8 GiB when the system does not say."""
    sizes = []
    try:
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (ValueError, OSError, AttributeError):
        sizes.append(8 * GIB)
    limit = _read_cgroup_file(Path("/sys/fs/cgroup/memory.max"))
    if limit.isdigit():
        sizes.append(int(limit))
    return min(sizes)


def _read_cgroup_file(path: Path) -> str:
    try:
        return read_text(path).strip()
    except PolytaskError:
        return ""
