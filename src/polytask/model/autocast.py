"""Chooses the precision in which a network computes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch


def make_autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Compute in bf16 inside the block if the plan says so; losses switch back to float32 themselves."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
