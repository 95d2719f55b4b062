"""The form of `state.json`: the type and the bounds of every counter of a checkpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

MOST_STEPS = 1 << 53
"""No run gets so far; a larger number is a damaged one."""
Count = Annotated[int, Field(ge=0, lt=MOST_STEPS)]


class Form(BaseModel):
    """A part of the document. Keys that it does not name may stand there."""

    model_config = ConfigDict(strict=True)


class ScheduleForm(Form):
    """See `schedule.Schedule`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    kind: Literal["poly", "cosine", "constant"]
    peak: Annotated[float, Field(gt=0, lt=1e6)]
    warmup: Count
    start: Count
    end: Count


class MeansForm(Form):
    """Running means: each sum has a count above 0."""

    sums: dict[str, float]
    counts: dict[str, Annotated[int, Field(ge=1, lt=MOST_STEPS)]]
    there: dict[str, Count]
    steps: Count

    @model_validator(mode="after")
    def _require_counts(self) -> Self:
        if set(self.sums) != set(self.counts):
            raise ValueError("expected a count for each sum")
        return self


class SumsForm(Form):
    """What a checkpoint within an epoch knows of that epoch."""

    losses: MeansForm
    norms: MeansForm
    common: list[Count]


class SettingsForm(Form):
    """Settings of the plan that a time budget may have changed."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tune_every: Annotated[int, Field(ge=1, lt=MOST_STEPS)] | None = None


class NothingForm(Form):
    """An empty mapping."""

    model_config = ConfigDict(strict=True, extra="forbid")


class CheckpointForm(Form):
    """The whole document; see `state.State`. Checkpoints of earlier versions lack some counters."""

    plan: str
    schedule: ScheduleForm
    criteria: dict[str, Any]
    step: Count
    best: float | None = None
    best_epoch: Annotated[int, Field(ge=-1, lt=MOST_STEPS)] | None = None
    stale: Count | None = None
    skipped: Count | None = None
    in_a_row: Count | None = None
    finished: bool | None = None
    settings: SettingsForm | None = None
    epoch_sums: SumsForm | NothingForm | None = None


def find_checkpoint_problem(content: Any, pairs: int | None = None) -> str:
    """What keeps this from being the counters of a checkpoint, in one line; empty when nothing does.

    Args:
        pairs: of tasks that the network has; any number by default.
    """
    try:
        form = CheckpointForm.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'][0].lower()}{first['msg'][1:]}"
    if isinstance(form.epoch_sums, SumsForm) and pairs not in (None, len(form.epoch_sums.common)):
        return f"epoch_sums.common: expected {pairs} counts"
    return ""
