"""The upstream answer as a soft class embedding, as in MM-DLS (subtype and stage → survival).

It is one more source of the task, or joins the sources in a second level (`polytask.model.second_level`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polytask.errors import PolytaskError
from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form


class EmbeddingLink(nn.Module):
    """Class probabilities times a learned table of class vectors (MM-DLS, Wang 2026): differentiable in both."""

    def __init__(self, upstream: Task, width: int):
        super().__init__()
        self.decode = upstream.decode
        with torch.no_grad():
            # A decoded example tells how many classes there are, and whether there are any.
            decoded = self.decode(torch.zeros(1, upstream.outputs))
        if "p" not in decoded or find_task_form(upstream) == "time":
            raise PolytaskError(
                f"model.after: {upstream.name!r} is a {upstream.kind} task; an embedding needs class probabilities"
            )
        self.table = nn.Parameter(0.1 * torch.randn(decoded["p"].shape[1], width))

    def forward(self, output: Tensor) -> Tensor:
        """Turn upstream outputs into tokens: `[..., outputs] → [..., width]`."""
        p = self.decode(output.flatten(0, -2))["p"].unflatten(0, output.shape[:-1])
        token: Tensor = p @ self.table
        return token
