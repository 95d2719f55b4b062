"""The upstream answer as a soft class embedding, as in MM-DLS (subtype and stage → survival).

It is one more source of the task, or joins the sources in a second level (`polytask.model.second_level`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polytask.tasks.task import Task


class EmbeddingLink(nn.Module):
    """Class probabilities times a learned table of class vectors (MM-DLS, Wang 2026): differentiable in both."""

    def __init__(self, upstream: Task, width: int):
        super().__init__()
        self.decode = upstream.decode
        with torch.no_grad():
            # A decoded example tells how many classes there are.
            classes = self.decode(torch.zeros(1, upstream.outputs))["p"].shape[1]
        self.table = nn.Parameter(0.1 * torch.randn(classes, width))

    def forward(self, output: Tensor) -> Tensor:
        """Turn upstream outputs into tokens: `[..., outputs] → [..., width]`."""
        p = self.decode(output.flatten(0, -2))["p"].unflatten(0, output.shape[:-1])
        token: Tensor = p @ self.table
        return token
