"""Weighs sources by attention: how much each source counts is part of the answer."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class SourceAttention(nn.Module):
    """Gated attention over sources (Ilse, ICML 2018), with a query per task and keys and values per source.

    Every task has an instance, so the query belongs to the task. First each token gets mean 0 and variance 1 over its
    width: sources come from encoders of different scale, and the largest would otherwise dominate. The projections that
    follow would absorb the affine part of this norm, so there is none.

    The score of a source is `q · (tanh(K t) ⊙ σ(G t))`. The factors lie in ±1, so the size of q alone limits the
    scores. q starts at 1/√width, and the weights start nearly even, which is the state of highest entropy. Therefore
    there is no temperature (q can grow) and no entropy term in the loss: it would work against what is wanted, that a
    source without information loses its weight. Against a task that settles on one source early, sources are hidden in
    training (`source_dropout`).

    A source that is alone has weight 1 and needs no score. Where no source is known, the vector and the weights are
    zero.
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
        """Join the tokens as `SourceFusion` says; weights are float32, and 0 at unknown sources."""
        # `where`, not a product: an unknown source may hold NaN, and NaN · 0 is NaN.
        known_tokens = torch.where(known[..., None], tokens, 0.0)
        even = functional.layer_norm(known_tokens, known_tokens.shape[-1:])
        values = torch.einsum("nsd,sde->nse", even, self.value) + self.value_bias
        weights = self._weights(even, known)
        fused = (weights.to(values.dtype)[..., None] * values).sum(1)
        return functional.leaky_relu(fused, 0.01), weights

    def _weights(self, tokens: Tensor, known: Tensor) -> Tensor:
        """Compute the weights `[N, S]` from tokens `[N, S, width]` and known `[N, S]`."""
        flags = known.float()
        if tokens.shape[1] == 1:
            return flags
        key, gate = (torch.einsum("nsd,sde->nse", tokens, self.score) + self.score_bias).chunk(2, -1)
        scores = ((key.tanh() * gate.sigmoid()).float() * self.query).sum(-1)
        # Not −∞: the softmax of a row without a known source would be NaN.
        lowest = torch.finfo(scores.dtype).min
        return scores.masked_fill(~known, lowest).softmax(1) * flags
