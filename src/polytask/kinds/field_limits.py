"""Types with limits, for numbers and curves of tasks in `cohort.yaml` and `plan.yaml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

ShareNumber = Annotated[float, Field(ge=0, le=1)]
PositiveNumber = Annotated[float, Field(gt=0)]
NonNegativeNumber = Annotated[float, Field(ge=0)]
PooledLevel = Literal["visit", "subject"]
NumberLists = dict[str, list[float]]


def require_curve(curve: NumberLists) -> NumberLists:
    """Return a curve over time unchanged if it is empty or valid; otherwise raise ValueError."""
    if curve and not is_curve(curve):
        raise ValueError("expected `times` that rise and as many values of `survival` or `hazard`")
    return curve


def is_curve(curve: Mapping[str, Sequence[float]]) -> bool:
    """Whether this has finite times in ascending order, and one more list of finite numbers of the same length."""
    if len(curve) != 2 or "times" not in curve or not {"survival", "hazard"} & set(curve):
        return False
    times, numbers = list(curve["times"]), [x for values in curve.values() for x in values]
    same = len(numbers) == 2 * len(times)
    return same and all(map(isfinite, numbers)) and times == sorted(times)


CurveField = Annotated[NumberLists, AfterValidator(require_curve)]
