"""Which sources are there, and in training which of them are hidden, so that every subset can be answered."""

from __future__ import annotations

import torch
from torch import Tensor

from polytask.model.inputs import Inputs


def hidden_sources(inputs: Inputs, rate: float) -> dict[str, Tensor]:
    """Source → bool `[B, V]`, where it is known.

    With `rate`, one source of that share of the samples that have several is hidden, at all visits; never the last.
    """
    known = {name: k.any(-1) & inputs.visit_known for name, k in inputs.channel_known.items()}
    known |= {name: k.any(-1) & inputs.visit_known for name, k in inputs.table_known.items()}
    known |= {name: k.any(-1) & inputs.visit_known for name, k in inputs.bag_known.items()}
    if rate <= 0 or len(known) < 2:
        return known
    there = torch.stack([k.any(1) for k in known.values()], 1)
    draw = torch.rand(there.shape, device=there.device).masked_fill(~there, -1.0)
    chance = torch.rand(len(there), device=there.device)
    hide = (chance < rate) & (there.sum(1) > 1)
    chosen = draw.argmax(1)
    return {name: k & ~(hide & (chosen == index))[:, None] for index, (name, k) in enumerate(known.items())}
