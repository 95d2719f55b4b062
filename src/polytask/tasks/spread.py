"""How far the truth may lie from a number: outputs beside the answer that learn the size of its errors.

They read the features and the errors without a gradient to either: trunk and answer learn from the loss of the answer
alone, as if the spread were not there. A variance that is learned together with its mean makes the mean worse where it
is uncertain (Seitzer et al. 2022); that cannot happen here (Stirn et al. 2023 call such networks faithful).
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from polytask.kinds.spread import NO_SPREAD
from polytask.tasks.heads_and_losses import make_linear_head, make_voxel_head

SPREAD_SHARE = 0.05
"""The loss of a new spread, beside the loss 1 of the answer: too little to turn rules that compare losses of tasks."""
MAX_LOG_VARIANCE = 8.0
"""A standard deviation lies between exp(−4) ≈ 1/55 and 55 units."""
MAX_DEVIATIONS = 5.0
"""An error beyond so many expected spreads counts as so many: one mistyped cell cannot dominate a step."""
MAX_ERROR = 1e6
"""Units; its square does not overflow."""
TAIL = 0.05
"""The share below the low and above the high quantile."""
NORMAL_QUANTILE = 1.6448536269514722
"""The 95th percentile of a standard normal distribution."""


class ToldSpread(NamedTuple):
    """What a head tells, in units of the task: a standard deviation, and how far the low and the high quantile lie from
    the answer. The latter are None where the form knows none."""

    sd: Tensor
    below: Tensor | None = None
    above: Tensor | None = None


class SpreadForm(Protocol):
    """A form in which the spread is told. Outputs are `[N, outputs, …]`, errors (truth − answer) `[N, …]`."""

    outputs: ClassVar[int]

    def find_bias(self, size: float) -> list[float]:
        """Find the outputs of a new head, which expects errors with the standard deviation `size`."""

    def find_first_loss(self, size: float) -> float:
        """Find the loss that these have, if errors are normal and of that size."""

    def measure_loss(self, outputs: Tensor, error: Tensor) -> Tensor:
        """Measure how badly the outputs describe the errors: `[N, …]`, never negative, least at the truth."""

    def read(self, outputs: Tensor) -> ToldSpread:
        """Turn the outputs into what they tell, in units of the task."""


class GaussianSpread:
    """The logarithm of a variance, by the likelihood of a normal distribution."""

    outputs: ClassVar[int] = 1

    def find_bias(self, size: float) -> list[float]:
        """Find the output whose variance is that of the size."""
        share = 2 * math.log(size) / MAX_LOG_VARIANCE
        return [MAX_LOG_VARIANCE * math.atanh(min(max(share, -0.99), 0.99))]

    def find_first_loss(self, size: float) -> float:
        """Find ½ (1 + log σ² + the limit)."""
        return 0.5 * (1 + 2 * math.log(size) + MAX_LOG_VARIANCE)

    def measure_loss(self, outputs: Tensor, error: Tensor) -> Tensor:
        """Measure ½ (e² / σ² + log σ²), plus a constant that keeps it above 0."""
        log_variance = self._find_log_variance(outputs)
        squares = error.clamp(-MAX_ERROR, MAX_ERROR).square() * torch.exp(-log_variance)
        # Scaled down to the limit, not cut off there: the gradient still asks for a larger variance.
        squares = squares * (MAX_DEVIATIONS**2 / squares.detach()).clamp_max(1.0)
        return 0.5 * (squares + log_variance + MAX_LOG_VARIANCE)

    def read(self, outputs: Tensor) -> ToldSpread:
        """Turn the logarithm of the variance into a standard deviation."""
        return ToldSpread((self._find_log_variance(outputs) / 2).exp())

    def _find_log_variance(self, outputs: Tensor) -> Tensor:
        # Bounded by a curve: a plain limit has no gradient beyond it, and nothing would lead back.
        return MAX_LOG_VARIANCE * torch.tanh(outputs[:, 0] / MAX_LOG_VARIANCE)


class QuantileSpread:
    """A low and a high quantile on both sides of the answer, by the pinball loss."""

    outputs: ClassVar[int] = 2

    def find_bias(self, size: float) -> list[float]:
        """Find the outputs whose gaps are those of a normal distribution."""
        return [math.log(math.expm1(NORMAL_QUANTILE * size))] * 2

    def find_first_loss(self, size: float) -> float:
        """Find twice the pinball loss of a normal distribution at its quantile, which is its density there."""
        return 2 * size * math.exp(-(NORMAL_QUANTILE**2) / 2) / math.sqrt(2 * math.pi)

    def measure_loss(self, outputs: Tensor, error: Tensor) -> Tensor:
        """Measure the pinball losses of both quantiles."""
        below, above = self._find_gaps(outputs)
        bounded = error.clamp(-MAX_ERROR, MAX_ERROR)
        return measure_pinball(bounded + below, TAIL) + measure_pinball(bounded - above, 1 - TAIL)

    def read(self, outputs: Tensor) -> ToldSpread:
        """Read both gaps, and the standard deviation of the normal distribution that is as wide."""
        below, above = self._find_gaps(outputs)
        return ToldSpread((below + above) / (2 * NORMAL_QUANTILE), below, above)

    def _find_gaps(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        # Gaps are positive, so that the quantiles never cross the answer or each other.
        gaps = softplus(outputs)
        return gaps[:, 0], gaps[:, 1]


SPREADS: dict[str, SpreadForm] = {"gaussian": GaussianSpread(), "quantile": QuantileSpread()}
"""`spread` of a task in the plan → form; `none` tells no spread."""


def find_spread_form(name: str) -> SpreadForm | None:
    """Find the form of a task's `spread`; None: it tells none."""
    return None if name == NO_SPREAD else SPREADS[name]


def measure_pinball(excess: Tensor, level: float) -> Tensor:
    """Measure the pinball loss of a quantile that the truth exceeds by `excess`."""
    return torch.maximum(level * excess, (level - 1) * excess)


class SpreadHead(nn.Module):
    """A head `[N, features, …] → [N, 1 + outputs, …]`: the answer's head, and one for its spread, which starts constant
    and gives no gradient to the features."""

    def __init__(self, answer: nn.Module, spread: nn.Module) -> None:
        super().__init__()
        self.answer, self.spread = answer, spread
        nn.init.zeros_(self.spread.get_parameter("weight"))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the answer and what its spread is told by."""
        return torch.cat([self.answer(x), self.spread(x.detach())], 1)


def make_linear_spread_head(form: SpreadForm, features: int, answer: float, size: float = 1.0) -> nn.Module:
    """Make a head `[N, features] → [N, 1 + outputs]` that starts at an answer and at a spread."""
    return SpreadHead(make_linear_head(features, [answer]), make_linear_head(features, form.find_bias(size)))


def make_voxel_spread_head(
    form: SpreadForm, features: int, dims: int, answer: float, size: float
) -> nn.Module:
    """Make a head `[N, features, *space] → [N, 1 + outputs, *space]` that starts at an answer and at a spread."""
    own, spread = [answer], form.find_bias(size)
    return SpreadHead(make_voxel_head(features, dims, own), make_voxel_head(features, dims, spread))


def measure_spread_loss(form: SpreadForm, outputs: Tensor, error: Tensor, size: float = 1.0) -> Tensor:
    """Measure the loss of a spread beside that of its answer: `SPREAD_SHARE` for a new head, `[N, …]`.

    Args:
        outputs: those that tell the spread, `[N, outputs, …]`. error: truth − answer in its unit, `[N, …]`.
        size: the spread at which a new head starts.
    """
    return SPREAD_SHARE / form.find_first_loss(size) * form.measure_loss(outputs, error.detach())


def read_number_spread(
    form: SpreadForm | None, output: Tensor, value: Tensor, unit: Tensor | float
) -> dict[str, Tensor]:
    """Read `spread [N]`, a standard deviation, and with quantiles `low [N]` and `high [N]`; nothing without a form.

    Args:
        output: of the head, `[N, 1 + outputs]`. value: the answers `[N]`. unit: of the spread, in that of the answers.
    """
    if form is None:
        return {}
    told = form.read(output[:, 1:])
    spread = {"spread": told.sd * unit}
    if told.below is None or told.above is None:
        return spread
    return spread | {"low": value - told.below * unit, "high": value + told.above * unit}
