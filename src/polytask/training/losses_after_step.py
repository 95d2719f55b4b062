"""A second look at the samples of a step, for balancing rules that learn from what the step changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from polytask.tasks.heads_and_losses import make_autocast
from polytask.training.distributed import World
from polytask.training.state import FitState

if TYPE_CHECKING:
    from polytask.training.step import PlacedBatch


@torch.no_grad()
def recompute_losses(
    state: FitState,
    placed: Sequence[PlacedBatch],
    present: Mapping[str, Tensor],
    world: World,
    precision: str,
) -> dict[str, float]:
    """Compute the losses of the same samples after the step, under the same dropout. Criteria do not remember these
    scores."""
    # The seed was set before the step: setting it again repeats the dropout masks.
    torch.manual_seed(torch.initial_seed())
    state.criteria.eval()
    total = torch.zeros(len(present), device=world.device)
    for item in placed:
        with make_autocast(precision, world.device):
            outputs = state.network(item.batch)
        losses = [state.criteria[n](outputs[n], *item.targets[n])[0] / c for n, c in present.items()]
        total += torch.stack(losses)
    state.criteria.train()
    return dict(zip(present, world.total(total).tolist(), strict=True))
