"""Which sources are known, and which of them training hides, so that the network can answer from every subset."""

from __future__ import annotations

import torch
from torch import Tensor

from polytask.model.network_inputs import NetworkInputs


def hide_sources(inputs: NetworkInputs, rate: float) -> dict[str, Tensor]:
    """Return source → bool `[B, V]`, where it is known and not hidden.

    Of the samples that have several sources, the share `rate` has one source hidden at all visits. A visit that has no
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
    # The largest of uniform draws is a fair choice among the sources that may be hidden.
    draw = torch.rand(free.shape, device=free.device).masked_fill(~free, -1.0)
    hide = (torch.rand(len(free), device=free.device) < rate) & free.any(1)
    chosen = draw.argmax(1)
    return {
        name: k & (~(hide & (chosen == index))[:, None] | alone[:, index])
        for index, (name, k) in enumerate(known.items())
    }
