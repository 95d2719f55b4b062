"""Efron's partial likelihood of the Cox model, term by term."""

from __future__ import annotations

import torch
from torch import Tensor


def compute_efron_weights(times: Tensor, events: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the risk sets of m subjects: (index of the events `[E]`, log weights `[E, m]`).

    A subject whose time is not before that of the event is at risk and has weight 1, all others have weight 0
    (log: −∞). If d events have the same time, the l-th of them (0, 1, …) gives each of the d the weight 1 − l/d, as if
    they happened one after another in unknown order. Events with nobody else at risk carry no information and are left
    out.
    """
    index = (events > 0).nonzero().squeeze(1)
    at = times[index]
    at_risk = times[None, :] >= at[:, None]
    # Below the diagonal: how many events with the same time stand before this one (l), and on the whole row, d.
    tied = (at[None, :] == at[:, None]).tril(-1).sum(1)
    size = (at[None, :] == at[:, None]).sum(1)
    same = (times[None, :] == at[:, None]) & (events > 0)[None, :]
    weights = at_risk.float() - same.float() * (tied / size.clamp_min(1))[:, None].float()
    counted = at_risk.sum(1) > 1
    return index[counted], weights[counted].log()


def compute_efron_terms(scores: Tensor, index: Tensor, log_weights: Tensor) -> Tensor:
    """Compute −log of the factor of each event `[E]` for log hazard ratios `scores [m]`.

    The terms are finite however large the scores are, and their sum is never negative.
    """
    return torch.logsumexp(scores[None, :] + log_weights, dim=1) - scores[index]
