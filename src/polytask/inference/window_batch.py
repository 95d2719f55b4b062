"""Chooses how many sliding windows the network computes at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from polytask.model.building_blocks import EncoderSpec
from polytask.plan.machine import measure_host_memory
from polytask.plan.rules.network_cost import (
    Topology,
    count_activation_bytes,
    count_decoder_flops,
    count_encoder_flops,
)

WINDOW_BATCH_FLOPS = {"cpu": 5e9, "cuda": 200e9, "mps": 50e9}
"""FLOP of one batch of windows from which on the device is busy: beyond it a larger batch is hardly faster. The value
of the CPU is measured (`benchmarks/window_batches.py`); torch convolves a single small 3D map with a slow kernel, and
several at once with a quick one. Those of CUDA and MPS are not measured yet."""
STRIDED_WINDOW_FLOPS = 12e9
"""The same on a CPU for a network that begins with a stride: its maps are smaller, and alone they get the slow kernel
at more FLOP. Measured: two windows of 64³ at once take 0.42 to 0.85 × the time of two in turn, four are no faster."""
WINDOW_MEMORY_SHARE = 1 / 8
"""Share of the memory of the device that one batch of windows may take."""
MAX_WINDOW_BATCH = {"cpu": 4, "cuda": 32, "mps": 16}
"""Most windows at once. A CPU has its activations in caches, so that many windows at once are slower again."""


def choose_window_batch(spec: EncoderSpec, window: Sequence[int], decoders: int, device: torch.device) -> int:
    """Choose how many windows run at once: a power of two that keeps the device busy and fits into its memory.

    Depends on the network and the machine alone, not on what is free at the moment, so that a prediction can be
    repeated bit for bit on one machine.

    Args:
        spec: the encoder that reads the windows.
        window: size of a window in voxels.
        decoders: number of voxel tasks that are computed on it.
    """
    net = Topology(spec.dims, spec.planes, spec.widths, spec.blocks, spec.strides, spec.kernels, spec.encoder)
    flops = count_encoder_flops(net, window) + decoders * count_decoder_flops(net, window)
    # Training keeps more than inference, and float32 is the larger of the two formats: an upper limit.
    memory = count_activation_bytes(net, window, decoders, "float32")
    most = min(MAX_WINDOW_BATCH[device.type], WINDOW_MEMORY_SHARE * _measure_device_memory(device) / memory)
    batch, busy = 1, WINDOW_BATCH_FLOPS[device.type]
    if device.type == "cpu" and net.enlarged:
        busy = STRIDED_WINDOW_FLOPS
    while 2 * batch <= most and batch * flops < busy:
        batch *= 2
    return batch


def _measure_device_memory(device: torch.device) -> int:
    """Return the bytes of memory of a device, used or not."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return measure_host_memory()
