"""Sums gradients over processes while the backward pass still computes others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Parameter

from polytask.training.distributed import World, pack_gradients

BUCKET_BYTES = 25 * 2**20
"""Bytes of gradients that are sent together, as in torch's own data-parallel training."""


class OverlappedSum:
    """The sum of the gradients of one step, sent bucket by bucket during the last backward pass of the step.

    It is for a step whose gradients come from one backward pass per micro-batch: there the gradient of a parameter is
    complete as soon as the last pass has added to it. Buckets hold the parameters in reverse order, because those of
    the last layers are ready first.

    All processes must send the same messages in the same order. A task that is absent in one process leaves gaps there:
    so a bucket is sent only after all before it, and what is still missing at the end is sent by `finish`, a gradient
    that does not exist as zeros. `World.add_gradients` gives the same sums in one message.
    """

    def __init__(self, world: World, parameters: Sequence[Parameter], bucket_bytes: int = BUCKET_BYTES):
        self.world = world
        self.buckets = divide_into_buckets(parameters, bucket_bytes)
        self.missing = [len(bucket) for bucket in self.buckets]
        self.sent: list[tuple[Tensor, dist.Work]] = []
        self._bucket_numbers = {id(p): n for n, bucket in enumerate(self.buckets) for p in bucket}
        self._hooks = [p.register_post_accumulate_grad_hook(self._note_gradient) for p in parameters]

    def finish(self) -> None:
        """Send what is missing, wait for all sums, and put them in place of the gradients.

        A parameter for which nobody has a gradient keeps None.
        """
        for hook in self._hooks:
            hook.remove()
        while len(self.sent) < len(self.buckets):
            self._send_next()
        for _, work in self.sent:
            work.wait()
        # One transfer to the CPU for the flags of all buckets.
        flags = torch.cat(
            [message[: len(b)] for (message, _), b in zip(self.sent, self.buckets, strict=True)]
        )
        has_gradient = iter(flags.tolist())
        for (message, _), bucket in zip(self.sent, self.buckets, strict=True):
            sums = message[len(bucket) :].split([p.numel() for p in bucket])
            for parameter, values in zip(bucket, sums, strict=True):
                known = next(has_gradient)
                parameter.grad = values.view_as(parameter).to(parameter.dtype) if known else None

    def _note_gradient(self, parameter: Tensor) -> None:
        self.missing[self._bucket_numbers[id(parameter)]] -= 1
        while len(self.sent) < len(self.buckets) and self.missing[len(self.sent)] == 0:
            self._send_next()

    def _send_next(self) -> None:
        bucket = self.buckets[len(self.sent)]
        message = pack_gradients(bucket, self.world.device)
        self.sent.append((message, dist.all_reduce(message, async_op=True)))


def divide_into_buckets(parameters: Sequence[Parameter], limit: int) -> list[list[Parameter]]:
    """Divide parameters, from the last to the first, into groups of at most `limit` bytes, or of a single one."""
    buckets: list[list[Parameter]] = []
    size = limit
    for parameter in reversed(parameters):
        own = 4 * parameter.numel()
        if size + own > limit:
            buckets.append([])
            size = 0
        buckets[-1].append(parameter)
        size += own
    return buckets
