"""Sources weighed by attention: how much each counts is part of the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Gated attention over sources (Ilse, ICML 2018), with a query per task and keys and values per source.

    Every task has an instance, so the query is the task's. A token is first brought to mean 0 and variance 1 over its
    width: sources come from encoders of different scale, and without it the largest would have the say. The affine part
    of that norm would be absorbed by the projections that follow, so there is none.

    The score of a source is `q · (tanh(K t) ⊙ σ(G t))`. The factors lie in ±1, so scores are bounded by the size of q
    alone, and q starts at 1/√width: the weights start nearly even, which is the state of highest entropy. Hence a
    temperature of 1 (q is its own) and no entropy term in the loss, which would hold back what is asked for: that a
    source without information loses its weight. That a task settles early on one source is met by hiding sources in
    training, not here.

    A source alone has weight 1 and needs no score; where no source is known, the vector is zero and so are the weights.
    """

    def __init__(self, sources: int, width: int):
        super().__init__()
        self.value = nn.Parameter(torch.randn(sources, width, width) / width**0.5)
        self.value_bias = nn.Parameter(torch.zeros(sources, width))
        if sources > 1:
            self.score = nn.Parameter(torch.randn(sources, width, 2 * width) / width**0.5)
            self.score_bias = nn.Parameter(torch.zeros(sources, 2 * width))
            self.query = nn.Parameter(torch.randn(width) / width**0.5)

    def forward(self, tokens: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """See `SourceFusion`; weights are float32, 0 at unknown sources."""
        seen = torch.where(known[..., None], tokens, 0.0)
        even = functional.layer_norm(seen, seen.shape[-1:])
        values = torch.einsum("nsd,sde->nse", even, self.value) + self.value_bias
        weights = self._weights(even, known)
        fused = (weights.to(values.dtype)[..., None] * values).sum(1)
        return functional.leaky_relu(fused, 0.01), weights

    def _weights(self, tokens: Tensor, known: Tensor) -> Tensor:
        """Tokens `[N, S, width]`, known `[N, S]` → `[N, S]`."""
        there = known.float()
        if tokens.shape[1] == 1:
            return there
        key, gate = (torch.einsum("nsd,sde->nse", tokens, self.score) + self.score_bias).chunk(2, -1)
        scores = ((key.tanh() * gate.sigmoid()).float() * self.query).sum(-1)
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(~known, lowest).softmax(1) * there
