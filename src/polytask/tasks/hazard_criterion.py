"""Discrete-time survival: the hazard of an interval is the probability of the event in it, given none before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from polytask.tasks.heads_and_losses import (
    disable_autocast,
    get_host_target,
    index_rows,
    make_absent_loss,
)
from polytask.tasks.target import Target


def mark_hazard_intervals(value: Tensor, bins: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Mark (at risk, event), bool `[n, M]`, from `value [n, 2]` (time, event). The same in torch as
    `kinds.step_curves.discretize_follow_up`, which explains who is at risk."""
    time, event = value[:, :1], value[:, 1:] > 0
    right = torch.tensor(list(bins)).to(value.device, non_blocking=True)
    left = torch.cat([torch.zeros_like(right[:1]), right[:-1]])
    happened = ((time > left) | (left == 0)) & (time <= right) & event
    passed = torch.where(event, time > right, time >= (left + right) / 2)
    return happened | passed, happened


class HazardCriterion(nn.Module):
    """The negative log-likelihood per subject at risk in at least one interval, divided by `constant`."""

    def __init__(self, bins: Sequence[float], constant: float) -> None:
        super().__init__()
        self.bins, self.constant = tuple(bins), constant

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the known items that are at risk in at least one interval."""
        at_risk, _ = mark_hazard_intervals(target.value[target.known.bool()].float(), self.bins)
        return at_risk.any(1).sum().float()

    def forward(self, output: Tensor, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, M]`, the log-odds of the hazards."""
        host = get_host_target(target)
        count = self.count(host, subjects)
        if not bool(count > 0):
            return make_absent_loss(output)
        with disable_autocast(output):
            known = index_rows(host.known.bool(), output.device)
            logits = output[known].float()
            at_risk, happened = mark_hazard_intervals(target.value[known].float(), self.bins)
            # log σ and not log(σ): the latter is −∞ for a very small hazard.
            terms = torch.where(happened, logsigmoid(logits), logsigmoid(-logits))
            return -torch.where(at_risk, terms, torch.zeros_like(terms)).sum() / self.constant, count

    def update(self) -> None:
        """Do nothing: this loss has no state."""


def compute_log_survival(output: Tensor) -> Tensor:
    """Compute log P(no event by the end of each interval) `[N, M]` from the log-odds of the hazards."""
    return logsigmoid(-output.float()).cumsum(1)


def interpolate_survival(output: Tensor, bins: Sequence[float], horizons: Sequence[float]) -> Tensor:
    """Compute P(no event by each horizon) `[N, H]`; NaN for horizons beyond the last edge.

    Inside an interval the hazard per time is taken as constant, so that log survival is a straight line there.
    """
    known = torch.cat([output.new_zeros(len(output), 1).float(), compute_log_survival(output)], dim=1)
    edges = torch.tensor([0.0, *bins], device=output.device)
    columns = []
    for t in horizons:
        i = int(torch.searchsorted(edges[1:], torch.tensor(float(t), device=output.device)))
        if i >= len(bins):
            columns.append(torch.full_like(known[:, 0], float("nan")))
            continue
        part = (t - edges[i]) / (edges[i + 1] - edges[i])
        columns.append((known[:, i] + part * (known[:, i + 1] - known[:, i])).exp())
    return torch.stack(columns, dim=1) if columns else known[:, :0]


def compute_expected_time(output: Tensor, bins: Sequence[float]) -> Tensor:
    """Compute the mean time without event up to the last edge `[N]`: the area below the survival curve (trapezoids)."""
    survival = torch.cat([output.new_ones(len(output), 1).float(), compute_log_survival(output).exp()], dim=1)
    widths = torch.tensor([0.0, *bins], device=output.device).diff()
    return ((survival[:, 1:] + survival[:, :-1]) / 2 * widths).sum(1)
