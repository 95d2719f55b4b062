"""Random maps of a subject's visits."""

from __future__ import annotations

import torch
from torch import Tensor

CHANNELS = (4, 6, 8)
SIZES = {2: ((12, 11), (6, 6), (3, 4)), 3: ((10, 6, 7), (5, 6, 4), (3, 3, 4))}


def maps_of(dims: int, subjects: int = 3, visits: int = 2, seed: int = 0) -> list[Tensor]:
    """Three levels `[B, V, C, *space]`, finest first."""
    g = torch.Generator().manual_seed(seed)
    return [
        torch.randn((subjects, visits, c, *size), generator=g)
        for c, size in zip(CHANNELS, SIZES[dims], strict=True)
    ]


def known_of(*rows: str) -> Tensor:
    """`"101"` → first and third visit are there."""
    return torch.tensor([[cell == "1" for cell in row] for row in rows])


def days_of(subjects: int, visits: int) -> Tensor:
    """Visits every 40 days, a little later from subject to subject."""
    return 40.0 * torch.arange(visits).expand(subjects, -1) * (1 + 0.1 * torch.arange(subjects))[:, None]
