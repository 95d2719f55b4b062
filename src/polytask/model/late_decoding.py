"""Voxel tasks that follow a visit task: their decoders run last, on maps that its answer has changed.

The maps of their encoder do not depend on an answer: they are computed with those of the other tasks. What follows,
second network, modulation and decoder, is of the task alone: through a decoder in common its mask would reach the task
whose answer it reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from polytask.model.order.answer_maps import make_handed_down_map
from polytask.model.order.channel import average_pyramids
from polytask.model.source_encoders import LateView, TaskOutput
from polytask.model.task_branches import Token

if TYPE_CHECKING:
    from polytask.model.network import Network


@dataclass(frozen=True)
class VisitAnswers:
    """The answers of visit tasks that voxel tasks read: outputs `[N, outputs]`, and whether each rests on a source."""

    outputs: dict[str, Tensor]
    known: dict[str, Tensor]

    def take(self, rows: Tensor | slice) -> VisitAnswers:
        """Select some rows, by a mask or positions or by a slice."""
        return VisitAnswers(
            {task: output[rows] for task, output in self.outputs.items()},
            {task: known[rows] for task, known in self.known.items()},
        )

    def repeat(self, count: int) -> VisitAnswers:
        """Repeat every row `count` times, for the patches of an image."""
        if count == 1:  # so that an exported network has one graph for any number of rows
            return self
        return VisitAnswers(
            {task: output.repeat_interleave(count, 0) for task, output in self.outputs.items()},
            {task: known.repeat_interleave(count, 0) for task, known in self.known.items()},
        )


def collect_answers(
    network: Network, outputs: Mapping[str, TaskOutput], tokens: Mapping[str, Mapping[str, Token]]
) -> VisitAnswers:
    """Collect the answers that voxel tasks read, one row per visit slot `B·V`."""
    read = {up: outputs[up] for ups in network.chain.conditioning_tasks.values() for up in ups}
    answers = {up: o for up, o in read.items() if isinstance(o, Tensor)}
    known = {
        up: torch.stack([token.known for token in tokens[up].values()]).any(0).flatten() for up in answers
    }
    return VisitAnswers(
        {t: o.detach() if network.spec.stop_gradient else o for t, o in answers.items()}, known
    )


def answer_late_tasks(network: Network, view: LateView, answers: VisitAnswers) -> dict[str, TaskOutput]:
    """Answer the voxel tasks of a view `[N, …]` that follow visit tasks; `answers` has N rows."""
    chain, image, x = network.chain, view.image, view.x
    outputs: dict[str, TaskOutput] = {}
    maps = dict(view.maps)
    for task in (t for t in network.order if t in network.late and network.spec.voxel_image[t] == image):
        pyramid = view.pyramids.get(task)
        if pyramid is None:
            second = chain.second_networks[task, image]
            read = [network.seconds[name](x, [maps[up] for up in upstream]) for name, upstream in second]
            pyramid = network.apply_tables(task, image, average_pyramids(read), view.condition, {})
        if task in network.modulations:
            ups = chain.conditioning_tasks[task]
            own, known = [answers.outputs[up] for up in ups], [answers.known[up] for up in ups]
            pyramid = network.modulations[task](pyramid, own, known)
        decoded = network.voxels({task: pyramid})[task]
        outputs[task] = decoded[0]
        if task in chain.upstream:
            stop = network.spec.stop_gradient
            maps[task] = make_handed_down_map(network.voxels, task, decoded, ({task: pyramid}, {}), stop)
    return outputs
