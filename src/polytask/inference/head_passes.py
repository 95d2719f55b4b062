"""Repeats the heads of visit and subject tasks with some of what they read left out (dropout at prediction, Gal and
Ghahramani 2016): how much an answer hangs on single features. The trunk runs once, so that it costs next to nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from polytask.inference.sample_prediction import Predictions
from polytask.model.network import Network
from polytask.tasks.task import Prediction, Task

PASSES = "passes"
"""Key of a prediction: what each pass says, `[N, P, …]`."""


class HeadPasses:
    """Listens to what the heads of a network read while it predicts one sample, inside a `with` block.

    Pass k leaves out the same features for every case: it is a network of its own, whose answers over mirror images
    can be averaged, and a case has the same answer every time. A network planned without dropout has no passes.
    """

    def __init__(self, network: Network, count: int):
        self.network, self.count = network, count
        self._read: dict[str, list[Tensor]] = {}
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> HeadPasses:
        """Begin to listen to the heads of the network."""
        if self.count:
            self._hooks = [
                branch.dropout.register_forward_pre_hook(self._make_hook(task))
                for task, branch in self.network.branches.items()
                if branch.dropout.p > 0
            ]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening to the heads of the network."""
        for hook in self._hooks:
            hook.remove()

    def add_passes(self, predictions: Predictions) -> Predictions:
        """Return predictions of the same sample with what each pass says, as `passes [1, P, …]`."""
        added = dict(predictions)
        for task, read in self._read.items():
            with torch.inference_mode():
                every = [self._repeat_head(task, vectors) for vectors in read]
            mean = torch.stack(every).mean(0).cpu()
            # A subject task has one row, a visit task one for each visit slot.
            added[task] = {
                slot: {**own, PASSES: mean[max(slot, 0)][None]}
                for slot, own in predictions.get(task, {}).items()
            }
        return added

    def _make_hook(self, task: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self._read.setdefault(task, []).append(inputs[0].detach())

        return note

    def _repeat_head(self, task: str, vectors: Tensor) -> Tensor:
        """Answer from vectors `[N, width]` with other features left out each time: `[N, P, …]`."""
        branch = self.network.branches[task]
        share = 1 - float(branch.dropout.p)
        draws = torch.rand((self.count, vectors.shape[1]), generator=torch.Generator().manual_seed(0))
        kept = ((draws < share).float() / share).to(vectors.device)
        thinned = vectors.float()[:, None] * kept
        decoded: Tensor = select_answer(self.network.tasks[task], branch.head(thinned.flatten(0, 1)))
        return decoded.reshape(*thinned.shape[:2], *decoded.shape[1:])


def select_answer(task: Task, output: Tensor) -> Tensor:
    """Decode the output of a head and select what says most: the risk, the probabilities, or the number."""
    decoded: Prediction = task.decode(output)
    return next(decoded[key] for key in ("risk", "p", "value") if key in decoded)
