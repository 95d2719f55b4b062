"""Heads and losses from which the kinds of task are built.

A head turns features into outputs and starts as a constant predictor. The losses share the precision, a loss per item,
and smaller targets for deep supervision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polytask.tasks.target import Target

INITIAL_OUTPUT_SPREAD = 0.1
"""Spread of the outputs of a new head for features of unit size. It is small enough that the loss starts within about a
percent of the constant predictor's, and large enough that the trunk gets a gradient in the first step."""


def _initialize_layer(layer: nn.Module, features: int, bias: Sequence[float] | None) -> None:
    # The sum of `features` independent terms grows with their square root.
    with torch.no_grad():
        layer.get_parameter("weight").normal_(0.0, INITIAL_OUTPUT_SPREAD / features**0.5)
        if bias is not None:
            layer.get_parameter("bias").copy_(torch.tensor(list(bias), dtype=torch.float32))


def make_linear_head(features: int, bias: Sequence[float]) -> nn.Module:
    """Make a linear layer `[N, features] → [N, len(bias)]` that starts at the given biases."""
    head = nn.Linear(features, len(bias))
    _initialize_layer(head, features, bias)
    return head


def make_voxel_head(features: int, dims: int, bias: Sequence[float]) -> nn.Module:
    """Make a 1×1 convolution `[N, features, *space] → [N, len(bias), *space]`, for 2D and 3D alike."""
    head = Pointwise(features, len(bias), bias=True)
    _initialize_layer(head, features, bias)
    return head


class ScoreHead(nn.Module):
    """A head `[N, features] → [N, 1]` without bias, since a partial likelihood does not depend on a bias."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.score = nn.Linear(features, 1, bias=False)
        _initialize_layer(self.score, features, None)

    def forward(self, x: Tensor) -> Tensor:
        """Compute one score per item from `x [N, features]`."""
        score: Tensor = self.score(x)
        return score


class CumulativeHead(nn.Module):
    """A head `[N, features] → [N, K − 1]` for K ordered classes.

    The outputs are the log-odds of y > k: one score minus K − 1 ordered cut-points. θ₁ is free and
    θ_{k+1} = θ_k + softplus(δ_k), so that P(y > k) falls with k whatever is learned. The cut-points start where a score
    of 0 gives the training shares.
    """

    def __init__(self, features: int, shares: Sequence[float]) -> None:
        super().__init__()
        below = torch.tensor(list(shares), dtype=torch.float64).cumsum(0)[:-1].clamp(1e-6, 1 - 1e-6)
        cuts = below.logit()
        # The inverse of softplus below, log(exp(gap) − 1), is −∞ for a gap of 0. It is written as
        # gap + log(1 − exp(−gap)), which does not overflow for a large gap.
        gaps = (cuts[1:] - cuts[:-1]).clamp_min(1e-4)
        self.score = ScoreHead(features)
        self.first = nn.Parameter(cuts[:1].float())
        self.delta = nn.Parameter((gaps + torch.log(-torch.expm1(-gaps))).float())

    def cuts(self) -> Tensor:
        """Compute the cut-points θ `[K − 1]` in increasing order."""
        return torch.cat([self.first, self.first + softplus(self.delta.float()).cumsum(0)])

    def forward(self, x: Tensor) -> Tensor:
        """Compute the log-odds `[N, K − 1]` from `x [N, features]`, in float32."""
        score: Tensor = self.score(x)
        # In bf16 rounded cut-points could become equal or change their order.
        return score.float() - self.cuts()


class Pointwise(nn.Module):
    """A layer `[N, inputs, *space] → [N, outputs, *space]` for any number of space dimensions.

    Weights start like those of a convolution. For full-resolution maps with few channels a matrix product needs a third
    to a half of the time of a convolution on a CPU, because the memory layouts of convolutions are made for many
    channels.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of `x [N, inputs, *space]` at each position."""
        flat, weight = x.flatten(2), self.weight.expand(x.shape[0], -1, -1)
        if self.bias is None:
            mixed = torch.bmm(weight, flat)
        else:
            mixed = torch.baddbmm(self.bias[None, :, None], weight, flat)
        return mixed.reshape(*mixed.shape[:2], *x.shape[2:])


def make_autocast(precision: str, device: torch.device) -> torch.autocast:
    """Compute in bf16 inside a `with` block if the plan says so; losses switch back with `disable_autocast`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def disable_autocast(output: Tensor | Sequence[Tensor]) -> torch.autocast:
    """Switch autocast off inside a `with` block: losses run in float32, even if the network runs in bf16."""
    kind = find_output_device(output).type
    # Tensors that have a shape and no numbers know no autocast.
    return torch.autocast("cpu" if kind == "meta" else kind, enabled=False)


def make_absent_loss(output: Tensor | Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Make the result (0, 0), without gradient, for a task that is absent from this step."""
    return torch.zeros((), device=find_output_device(output)), torch.zeros(
        (), device=find_output_device(output)
    )


def weigh_classes(
    loss: Callable[[Tensor, Tensor], Tensor], weights: Sequence[float]
) -> Callable[[Tensor, Tensor], Tensor]:
    """Make a loss per item: the weight of its class (a list with one number for each) times its `loss`."""

    def weigh_loss(output: Tensor, value: Tensor) -> Tensor:
        numbers = torch.tensor(list(weights)).to(output.device, non_blocking=True)
        return numbers[value.long()] * loss(output, value)

    return weigh_loss


class ItemCriterion(nn.Module):
    """The mean over known items of `loss(output [n, outputs], value [n]) → [n]`, divided by `constant`."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor], constant: float) -> None:
        super().__init__()
        self.loss, self.constant = loss, constant

    def count(self, target: Target, subjects: Sequence[str]) -> Tensor:
        """Count the items whose value is known."""
        return target.known.sum().float()

    def forward(self, output: Tensor, target: Target, subjects: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Compute (sum, count) of the loss from `output [N, outputs]`; only known items take part."""
        host = get_host_target(target)
        known = host.known.bool()
        if not bool(known.any()):
            return make_absent_loss(output)
        with disable_autocast(output):
            rows = index_rows(known, output.device)
            # Selected before the loss, not masked after it: an unknown value may be anything, and NaN · 0 is NaN.
            terms = self.loss(output[rows].float(), target.value[rows])
            return terms.sum() / self.constant, self.count(host, subjects)

    def update(self) -> None:
        """Do nothing: this loss has no state."""


def compute_level_weights(levels: int) -> list[float]:
    """Compute the weights of the levels in deep supervision: 1, ½, ¼, … from the finest down, scaled to the sum 1."""
    raw = [0.5**i for i in range(levels)]
    return [w / sum(raw) for w in raw]


def list_output_levels(output: Any) -> list[Tensor]:
    """List the outputs of a voxel head, finest first; a single output without deep supervision becomes a list."""
    return [output] if isinstance(output, Tensor) else list(output)


def shrink_to_grid(x: Tensor, space: Sequence[int]) -> Tensor:
    """Shrink the last axes of `x` to a smaller grid by picking voxels. Values are never mixed: NaN does not spread."""
    for i, size in enumerate(space):
        axis = x.ndim - len(space) + i
        full = x.shape[axis]
        if size != full:
            x = x.index_select(axis, torch.arange(size, device=x.device) * full // size)
    return x


def find_output_device(output: Tensor | Sequence[Tensor]) -> torch.device:
    """Find the device on which an output lies."""
    return output.device if isinstance(output, Tensor) else output[0].device


def get_host_target(target: Target) -> Target:
    """Return the copy of a target whose numbers can be read without waiting for a device."""
    return target if target.host is None else target.host


def index_rows(chosen: Tensor, device: torch.device) -> Tensor:
    """Make an index that selects the `chosen` elements (bool, in host memory) from tensors on `device`.

    On a CPU that is the mask itself. Elsewhere it is their positions `[n]` along one axis: a mask would have to be
    counted there, and the host would wait for it.
    """
    return chosen if device.type == "cpu" else chosen.nonzero()[:, 0].to(device, non_blocking=True)


class HostCopy:
    """Numbers on their way from a device to host memory. The work that comes after them need not be waited for."""

    def __init__(self, numbers: Tensor):
        self._numbers, self._arrival = numbers.detach(), None
        if numbers.device.type == "cuda":
            self._numbers = torch.empty_like(numbers, device="cpu", pin_memory=True)
            self._numbers.copy_(numbers.detach(), non_blocking=True)
            self._arrival = torch.cuda.current_stream(numbers.device).record_event()

    def wait(self) -> Tensor:
        """Wait until the numbers have arrived, and return them in host memory."""
        if self._arrival is not None:
            self._arrival.synchronize()
        return self._numbers.cpu()
