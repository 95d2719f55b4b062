"""The slide encoder: each patch of a bag becomes a vector, and gated attention makes one vector of the bag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from polytask.model.building_blocks import ResidualBlock, pool_mean_max

PATCHES_PER_CHUNK = {"pixels": 64, "features": 8192}
"""How many patches are encoded at a time when nothing is learned, so that a bag of any size needs little memory."""


@dataclass(frozen=True)
class SlideSpec:
    """Settings of the encoder of one slide input.

    Args:
        features: width of a precomputed feature; None for patches of pixels.
        widths: channels per stage of the patch encoder (pixels only); each stage halves the patch.
        mean, sd: of the training slides: three numbers for colors, one for features.
    """

    features: int | None
    widths: tuple[int, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]


class SlideEncoder(nn.Module):
    """Encodes colors `[N, P, 3, h, w]` or features `[N, P, F]` as they are stored, with known `[N, P]` → `[N, P,
    width]`.

    Unknown patches are never read and give zero. Patches do not see each other.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, spec: SlideSpec, width: int):
        super().__init__()
        self.width = width
        self.pixels = spec.features is None
        shape = (1, len(spec.mean), 1, 1) if self.pixels else (1, 1)
        # From the plan, not learned: not part of the weights.
        self.register_buffer("mean", torch.tensor(spec.mean).reshape(shape), persistent=False)
        self.register_buffer("sd", torch.tensor(spec.sd).reshape(shape), persistent=False)
        inputs = (3, *spec.widths[:-1])
        self.stages = nn.Sequential(
            *[ResidualBlock(2, i, o, (2, 2)) for i, o in zip(inputs, spec.widths, strict=False)]
        )
        last = 2 * spec.widths[-1] if spec.features is None else spec.features
        self.project = nn.Sequential(nn.Linear(last, width), nn.LeakyReLU(0.01))

    def forward(self, bags: Tensor, known: Tensor) -> Tensor:
        """Encode the known patches; the shapes are those of the class."""
        where = known.nonzero()
        vectors = [
            self._encode_patches(bags[part[:, 0], part[:, 1]]) for part in self._split_into_chunks(where)
        ]
        device, dtype = self.mean.device, vectors[0].dtype if vectors else self.mean.dtype
        # The dtype is that of the vectors: autocast may have made them bf16.
        empty = torch.zeros((*known.shape, self.width), device=device, dtype=dtype)
        return empty.index_put((where[:, 0], where[:, 1]), torch.cat(vectors)) if vectors else empty

    def _split_into_chunks(self, where: Tensor) -> Iterator[Tensor]:
        """Split the known patches: all at once while learning (their activations are kept anyway), else in chunks."""
        size = (
            len(where)
            if torch.is_grad_enabled()
            else PATCHES_PER_CHUNK["pixels" if self.pixels else "features"]
        )
        yield from where.split(size) if len(where) else ()

    def _encode_patches(self, patches: Tensor) -> Tensor:
        """Encode patches `[n, 3, h, w]` or `[n, F]` as vectors `[n, width]`."""
        x = (patches.to(self.mean.device).float() - self.mean) / self.sd
        if self.pixels:
            x = pool_mean_max(self.stages(x))
        vectors: Tensor = self.project(x)
        return vectors


class GatedAttention(nn.Module):
    """Gated attention over a bag (Ilse 2018): aₖ = softmaxₖ(wᵀ(tanh(V hₖ) ⊙ sigmoid(U hₖ))), z = Σ aₖ hₖ.

    `[N, P, width]`, known `[N, P]` → (z `[N, width]`, a `[N, P]`). Weights of known patches are ≥ 0 and sum to 1,
    those of unknown patches are 0; a bag without any known patch gives zeros.
    """

    def __init__(self, width: int, hidden: int | None = None):
        super().__init__()
        hidden = max(1, width // 2) if hidden is None else hidden
        self.value = nn.Linear(width, hidden)
        self.gate = nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)  # a bias would cancel in the softmax

    def forward(self, patches: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Weigh the patches of each bag; the shapes are those of the class."""
        # `where`, not a product: NaN · 0 is NaN.
        h = torch.where(known[..., None], patches, torch.zeros_like(patches))
        scores = self.compute_scores(h)
        # Not −∞: the softmax of a bag without a known patch would be NaN.
        lowest = torch.finfo(scores.dtype).min
        weights = torch.softmax(scores.masked_fill(~known, lowest), dim=-1) * known
        return (weights[..., None] * h.float()).sum(dim=-2).to(h.dtype), weights

    def compute_scores(self, patches: Tensor) -> Tensor:
        """Compute the scores of patches before the softmax: `[N, P, width]` → `[N, P]`, float32."""
        gated: Tensor = self.score(torch.tanh(self.value(patches)) * torch.sigmoid(self.gate(patches)))
        return gated[..., 0].float()
