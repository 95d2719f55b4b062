"""The fields of each kind of task as they stand in `folds.K.tasks.NAME`: what an edited plan is checked against.

The same names as the dataclasses of `polytask.tasks`, without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Pooled = Literal["visit", "subject"]
Numbers = dict[str, list[float]]


def require_curve(curve: Numbers) -> Numbers:
    """A curve over time as it came: none at all, or `times` that rise and as many values; else a ValueError."""
    if curve and not is_curve(curve):
        raise ValueError("expected `times` that rise and as many values of `survival` or `hazard`")
    return curve


def is_curve(curve: Mapping[str, Sequence[float]]) -> bool:
    """Whether these are finite times that never fall, and one more list of numbers as long."""
    if len(curve) != 2 or "times" not in curve or not {"survival", "hazard"} & set(curve):
        return False
    times, numbers = list(curve["times"]), [x for values in curve.values() for x in values]
    same = len(numbers) == 2 * len(times)
    return same and all(map(isfinite, numbers)) and times == sorted(times)


Curve = Annotated[Numbers, AfterValidator(require_curve)]


class TaskFields(BaseModel):
    """What every kind has. `constant`: the constant-predictor loss, by which the loss is divided."""

    model_config = ConfigDict(extra="forbid")

    constant: Positive = 1.0


class Segmentation(TaskFields):
    """See `tasks.segmentation`."""

    kind: Literal["segmentation"]
    level: Literal["voxel"]
    structures: list[str]
    exclusive: bool
    fractions: list[Share]
    tolerance: Positive
    unit: Literal["mm", "px"] = "mm"


class Dose(TaskFields):
    """See `tasks.dose`."""

    kind: Literal["dose"]
    level: Literal["voxel"]
    unit: str
    scale: Positive
    structures: list[str]
    dvh: Annotated[float, Field(ge=0)]
    deviation: Annotated[float, Field(ge=0)]
    median: float


class Classification(TaskFields):
    """See `tasks.classification`."""

    kind: Literal["classification"]
    level: Pooled
    classes: list[str]
    frequencies: list[Share]
    balanced: bool


class Multilabel(TaskFields):
    """See `tasks.multilabel`."""

    kind: Literal["multilabel"]
    level: Pooled
    labels: list[str]
    frequencies: list[Share]
    balanced: bool


class Ordinal(TaskFields):
    """See `tasks.ordinal`."""

    kind: Literal["ordinal"]
    level: Pooled
    classes: list[str]
    frequencies: list[Share]


class Regression(TaskFields):
    """See `tasks.regression`."""

    kind: Literal["regression"]
    level: Pooled
    mean: float
    sd: Positive
    unit: str
    deviation: Annotated[float, Field(ge=0)]


class Survival(TaskFields):
    """See `tasks.survival`."""

    kind: Literal["survival"]
    level: Pooled
    loss: Literal["cox", "hazard"]
    unit: str
    horizons: list[Positive]
    bins: Annotated[list[Positive], Field(min_length=1)]
    hazards: list[Share]
    buffer: Annotated[int, Field(ge=0)]
    censoring: Curve
    baseline: Curve


FIELDS: dict[str, type[TaskFields]] = {
    "segmentation": Segmentation,
    "dose": Dose,
    "classification": Classification,
    "multilabel": Multilabel,
    "ordinal": Ordinal,
    "regression": Regression,
    "survival": Survival,
}
