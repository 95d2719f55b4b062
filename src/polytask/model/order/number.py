"""The upstream number or risk as a vector: what feeds on where an answer has no classes.

It is one more source of the task, or joins the sources in a second level, as an embedding does.
"""

from __future__ import annotations

from torch import Tensor, nn

from polytask.tasks.task import Task


class NumberLink(nn.Module):
    """A number or a risk times a learned vector; ours.

    Read are the numbers of the head as they are, which are near 1 in size: the z-score of a number, the logarithm of a
    count, a log hazard ratio, or the logits of hazards.
    """

    def __init__(self, upstream: Task, width: int):
        super().__init__()
        self.layer = nn.Linear(upstream.outputs, width)
        nn.init.normal_(self.layer.weight, std=0.1)

    def forward(self, output: Tensor) -> Tensor:
        """Turn upstream outputs into tokens: `[..., outputs] → [..., width]`."""
        token: Tensor = self.layer(output.float())
        return token
