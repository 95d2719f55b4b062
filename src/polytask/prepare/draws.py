"""Random numbers as functions: a generator from what it is for, never a stream that is passed on."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def seed_of(*what: object) -> int:
    """63 bits that depend on every part of `what` (and on the borders between the parts) and on nothing else."""
    text = "\x1f".join(f"{type(w).__name__}:{w}" for w in what)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(*what: object) -> np.random.Generator:
    """A numpy generator for `what`, the same on every machine and in every process."""
    return np.random.Generator(np.random.Philox(seed_of(*what)))


def torch_generator(*what: object) -> torch.Generator:
    """A torch CPU generator for `what`, for whole tensors of noise."""
    import torch

    return torch.Generator().manual_seed(seed_of(*what))
