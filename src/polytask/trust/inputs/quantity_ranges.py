"""The ranges of what training showed of an input: spacing, field of view, intensities, missing channels, numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polytask.predict.input_quantities import MISSING, Quantities

SMALLEST_SHARE = 0.01
"""A quantity that hardly varies in training counts as one that varies by this share of its size."""


@dataclass(frozen=True)
class QuantityRange:
    """The smallest and the largest value of a quantity in training, and its standard deviation."""

    low: float
    high: float
    spread: float

    @classmethod
    def fit(cls, values: Sequence[float]) -> QuantityRange:
        """Fit the range of the values of training."""
        own = np.array(values, dtype=np.float64)
        smallest = SMALLEST_SHARE * max(1.0, float(np.abs(own).max()))
        return cls(float(own.min()), float(own.max()), max(float(own.std()), smallest))

    def measure_excess(self, value: float) -> float:
        """Measure how far a value lies outside, in standard deviations; 0 inside."""
        return max(self.low - value, value - self.high, 0.0) / self.spread


Ranges = Mapping[str, QuantityRange]


def fit_ranges(measured: Sequence[Quantities]) -> dict[str, QuantityRange]:
    """Fit the range of every quantity that was measured in training."""
    values: dict[str, list[float]] = {}
    for own in measured:
        for name, value in own.items():
            values.setdefault(name, []).append(value)
    return {name: QuantityRange.fit(own) for name, own in values.items()}


def measure_excess(quantities: Quantities, ranges: Ranges) -> float:
    """Measure how far the most unusual quantity lies outside its range; 0 where all lie inside."""
    return max(
        (ranges[name].measure_excess(value) for name, value in quantities.items() if name in ranges),
        default=0.0,
    )


def describe_excesses(quantities: Quantities, ranges: Ranges) -> list[str]:
    """Describe the quantities outside their ranges, the most unusual first."""
    outside = {
        name: excess
        for name, value in quantities.items()
        if name in ranges and (excess := ranges[name].measure_excess(value)) > 0
    }
    return [
        describe_range(name, quantities[name], ranges[name])
        for name in sorted(outside, key=lambda n: -outside[n])
    ]


def describe_range(name: str, value: float, own: QuantityRange) -> str:
    """Describe a value and the range of training, e.g. `coarsest spacing 3 mm, training 0.5–1.2 mm`."""
    if name.endswith(MISSING):
        return (
            f"{name}, never so in training"
            if value
            else f"{name.removesuffix(MISSING)}is there, never so in training"
        )
    what, _, unit = name.removesuffix("]").partition(" [")
    unit = f" {unit}" if unit else ""
    span = f"{own.low:.3g}" if own.low == own.high else f"{own.low:.3g}–{own.high:.3g}"
    return f"{what} {value:.3g}{unit}, training {span}{unit}"
