"""Finds out what the plan may use: CPU cores, memory, a device, and the precision that is fast on it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
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
SMALLEST_BATCH_SECONDS = {"cpu": 2.5, "cuda": 0.4, "mps": 1.0}
"""Time limit of one training step with the smallest batch; it decides how large a view or a patch may be."""
LARGER_BATCH_SECONDS = {"cpu": 0.6, "cuda": 0.15, "mps": 0.4}
"""Time limit of one training step with a larger batch; the batch grows only while a step stays below it."""


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
    """

    cores: int
    memory: int
    device: Device = "cpu"
    device_memory: int = 0
    precision: Literal["float32", "bf16"] = "float32"
    gain: float = 0.0

    @property
    def threads(self) -> int:
        """Number of threads of a training process."""
        return max(1, min(self.cores, MAX_TRAINING_THREADS))

    @property
    def speed(self) -> float:
        """FLOP/s to expect during training."""
        return TRAINING_FLOPS[self.device][self.precision] * (self.threads if self.device == "cpu" else 1)

    @property
    def budget(self) -> int:
        """Bytes that the activations and the model of one step may take."""
        # On shared host memory (CPU, MPS) the other half stays for the store, the workers and other programs.
        return self.device_memory * 7 // 10 if self.device == "cuda" else self.memory // 2

    def __str__(self) -> str:
        parts = [f"{self.cores} cores", f"{self.memory / GIB:.0f} GiB"]
        if self.device != "cpu":
            parts.append(
                f"{self.device}" + (f" {self.device_memory / GIB:.0f} GiB" if self.device_memory else "")
            )
        return ", ".join(parts)


def detect_machine(memory: float | None = None) -> Machine:
    """Describe this machine; `memory` (GB) replaces the size that was found, on the GPU when there is one."""
    detected = _detect_machine_once()
    if memory is None:
        return detected
    # GB of the option are powers of ten, as on the label of a device; GIB, in reasons, is a power of two.
    size = int(memory * 1e9)
    host = min(detected.memory, size) if detected.device == "cuda" else size
    device = size if detected.device == "cuda" else detected.device_memory
    return Machine(detected.cores, host, detected.device, device, detected.precision, detected.gain)


@cache
def _detect_machine_once() -> Machine:
    from polytask.plan.precision_probe import find_training_device, probe_precision

    device, device_memory = find_training_device()
    precision, gain = probe_precision(device)
    return Machine(count_usable_cores(), measure_host_memory(), device, device_memory, precision, gain)


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
