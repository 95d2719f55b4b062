"""Make random generators from what they are for (seed, epoch, subject, …), never from a stream that is passed on."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def derive_draw_seed(*what: object) -> int:
    """Derive a seed of 63 bits from all parts of `what` and from nothing else, so that results can be repeated."""
    # Types and separators are part of the text: 1 and "1", or ("a", "bc") and ("ab", "c"), give different seeds.
    text = "\x1f".join(f"{type(w).__name__}:{w}" for w in what)
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def make_generator(*what: object) -> np.random.Generator:
    """Make a numpy generator for `what`, the same on every machine and in every process."""
    return np.random.Generator(np.random.Philox(derive_draw_seed(*what)))


def make_torch_generator(*what: object) -> torch.Generator:
    """Make a torch CPU generator for `what`, used for whole tensors of noise."""
    import torch

    return torch.Generator().manual_seed(derive_draw_seed(*what))
