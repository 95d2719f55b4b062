"""The fields of each kind of task as they stand in `folds.K.tasks.NAME`: what an edited plan is checked against.

The same names as the dataclasses of `polytask.tasks`, without loading torch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Pooled = Literal["visit", "subject"]


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
    censoring: dict[str, list[float]]
    baseline: dict[str, list[float]]


FIELDS: dict[str, type[TaskFields]] = {
    "segmentation": Segmentation,
    "dose": Dose,
    "classification": Classification,
    "multilabel": Multilabel,
    "ordinal": Ordinal,
    "regression": Regression,
    "survival": Survival,
}
