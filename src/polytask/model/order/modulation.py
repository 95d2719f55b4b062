"""Answers of visit tasks that condition a decoder: a voxel task after a diagnosis, as in the last step of MB-DCNN."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from polytask.model.input_fusion.film import Modulation
from polytask.model.order.embedding import EmbeddingLink
from polytask.model.order.number import NumberLink
from polytask.tasks.task import Task
from polytask.tasks.task_registry import find_task_form


def make_vector_link(upstream: Task, width: int) -> EmbeddingLink | NumberLink:
    """Make what turns the answer of a visit or subject task into one vector."""
    link = NumberLink if find_task_form(upstream) in ("number", "time") else EmbeddingLink
    return link(upstream, width)


class ModulationLink(nn.Module):
    """Answers scale and shift the maps of a decoder (a diagnosis guides the mask: MB-DCNN, Xie 2020; FiLM is ours).

    The finest maps stay as they are, as under `film`; what is changed starts nearly as it was.
    """

    def __init__(self, upstream: Sequence[Task], width: int, channels: Sequence[int]):
        super().__init__()
        self.vectors = nn.ModuleList(make_vector_link(task, width) for task in upstream)
        self.modulation = Modulation(len(upstream), width, channels, range(len(channels)))

    def forward(
        self, pyramid: Sequence[Tensor | None], answers: Sequence[Tensor], known: Sequence[Tensor]
    ) -> list[Tensor | None]:
        """Change maps `[N, C, *space]` by answers `[N, outputs]`, each known or not `[N]`."""
        vectors = [vector(answer) for vector, answer in zip(self.vectors, answers, strict=True)]
        changed: list[Tensor | None] = self.modulation(
            pyramid, torch.stack(vectors, 1), torch.stack(list(known), 1)
        )
        return changed
