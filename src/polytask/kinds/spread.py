"""What a plan says about the spread that a task of numbers may tell beside its answer: `spread` and its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

SpreadName = Literal["none", "gaussian", "quantile"]
"""`none`, or a key of `SPREADS` in `tasks/spread.py`."""
NO_SPREAD = "none"
SPREAD_FIELD = "spread"
SPREAD_REASON = (
    "off: gaussian or quantile adds outputs that say how far the truth may lie from the answer, so that intervals "
    "become wider where it is unsure; they learn from the answers' errors and leave the answers nearly as they are"
)
SMALLEST_SIZE = 1e-2
"""An expected error is taken as at least this large in units of the task, so that its logarithm stays finite."""
DEVIATION_TO_SD = 1.2533
"""√(π/2): a normal distribution has this many times its mean absolute deviation as its standard deviation."""


def find_first_size(deviation: float, unit: float) -> float:
    """Find the spread at which a new head starts: that of the constant answer, from its mean absolute error."""
    return max(DEVIATION_TO_SD * deviation / unit, SMALLEST_SIZE)


def tells_spread(fields: Mapping[str, Any]) -> bool:
    """Whether the fields of a task in a plan ask for a spread."""
    return bool(fields.get(SPREAD_FIELD, NO_SPREAD) != NO_SPREAD)
