"""Which sources are there, and in training which of them are hidden, so that every subset can be answered."""

from __future__ import annotations

import torch
from torch import Tensor

from polytask.model.inputs import Inputs


def hidden_sources(inputs: Inputs, rate: float) -> dict[str, Tensor]:
    """Source → bool `[B, V]`, where it is known.

    With `rate`, one source of that share of the samples that have several is hidden, at all visits; a visit that has no
    other source keeps it.
    """
    known = {name: k.any(-1) & inputs.visit_known for name, k in inputs.channel_known.items()}
    known |= {name: k.any(-1) & inputs.visit_known for name, k in inputs.table_known.items()}
    known |= {name: k.any(-1) & inputs.visit_known for name, k in inputs.bag_known.items()}
    if rate <= 0 or len(known) < 2:
        return known
    seen = torch.stack(list(known.values()), 1)
    alone = seen & (seen.sum(1, keepdim=True) == 1)
    free = (seen & ~alone).any(2)
    draw = torch.rand(free.shape, device=free.device).masked_fill(~free, -1.0)
    hide = (torch.rand(len(free), device=free.device) < rate) & free.any(1)
    chosen = draw.argmax(1)
    return {
        name: k & (~(hide & (chosen == index))[:, None] | alone[:, index])
        for index, (name, k) in enumerate(known.items())
    }
