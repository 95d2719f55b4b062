"""What makes a training step faster on a device, each lever by itself.

On a CPU every lever is off: there is nothing to copy and nothing to wait for, and its numbers stay as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

MAX_STEPS_AHEAD = 4
"""How many steps the host may launch before it reads what the first of them did."""


@dataclass(frozen=True)
class DeviceSpeedups:
    """The levers. `choose_speedups` gives those of a device; `World.speedups` carries them through a training.

    To switch a single lever, replace it and hand the result to the rehearsal or the world:

        levers = replace(choose_speedups(device), channels_last=False)
        rehearsal = load_rehearsal(work, device="cuda", speedups=levers)

    Args:
        overlapped_copies: the next batch is pinned and copied on a stream of its own while a step runs. Otherwise a
            batch is copied when its step begins.
        channels_last: weights of 2D and 3D convolutions, and with them the maps, have the channels as the last axis in
            memory.
        fused_optimizer: one kernel updates all weights of a group. AdamW is fused everywhere, SGD only with this lever.
        steps_ahead: how many steps may be under way before the losses of the first are read; 0 reads them within the
            step. Above 0 the device decides by itself whether a step counts, which needs a fused optimizer.
    """

    overlapped_copies: bool = False
    channels_last: bool = False
    fused_optimizer: bool = False
    steps_ahead: int = 0


NO_SPEEDUPS = DeviceSpeedups()
"""All levers off, as on a CPU."""


def choose_speedups(device: torch.device) -> DeviceSpeedups:
    """Choose the levers of a device: all of them on CUDA, none elsewhere."""
    if device.type != "cuda":
        return NO_SPEEDUPS
    return DeviceSpeedups(True, True, True, MAX_STEPS_AHEAD)
