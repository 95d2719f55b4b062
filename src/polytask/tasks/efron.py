"""Efron's partial likelihood of Cox's model, term by term."""

from __future__ import annotations

import torch
from torch import Tensor


def efron_weights(times: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
    """(index of the events `[E]`, log weights `[E, m]`) of the risk sets.

    Everyone whose time is not before the event's weighs 1; of the d events tied at that time the l-th (0, 1, …)
    sees the tied ones with weight 1 − l/d, as if they left one after another in unknown order. Those not at risk
    weigh 0 (log: −∞). Events with nobody else at risk say nothing and are left out.
    """
    index = (events > 0).nonzero().squeeze(1)
    at = times[index]
    at_risk = times[None, :] >= at[:, None]
    tied = (at[None, :] == at[:, None]).tril(-1).sum(1)
    size = (at[None, :] == at[:, None]).sum(1)
    same = (times[None, :] == at[:, None]) & (events > 0)[None, :]
    weights = at_risk.float() - same.float() * (tied / size.clamp_min(1))[:, None].float()
    counted = at_risk.sum(1) > 1
    return index[counted], weights[counted].log()


def efron_terms(scores: Tensor, index: Tensor, log_weights: Tensor) -> Tensor:
    """−log of each event's factor `[E]` for log hazard ratios `scores [m]`; finite however far they spread.

    The sum over events is never negative.
    """
    return torch.logsumexp(scores[None, :] + log_weights, dim=1) - scores[index]
