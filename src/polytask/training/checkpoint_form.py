"""The form of `state.json`: the type and the limits of every counter in a checkpoint."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CHECKPOINT_STEP_LIMIT = 1 << 53
"""No run gets this far; a larger number means that the file is damaged."""
CheckpointCount = Annotated[int, Field(ge=0, lt=CHECKPOINT_STEP_LIMIT)]


class CheckpointSection(BaseModel):
    """One section of the document. Keys that are not named here are allowed."""

    model_config = ConfigDict(strict=True)


class ScheduleForm(CheckpointSection):
    """The form of a learning-rate schedule; see `schedule.Schedule`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    kind: Literal["poly", "cosine", "constant"]
    peak: Annotated[float, Field(gt=0, lt=1e6)]
    warmup: CheckpointCount
    start: CheckpointCount
    end: CheckpointCount
    moved_at: CheckpointCount = 0
    decayed: Annotated[float, Field(ge=0, le=1)] = 0.0


class MeansForm(CheckpointSection):
    """The form of running means: each sum needs a count above 0."""

    sums: dict[str, float]
    counts: dict[str, Annotated[int, Field(ge=1, lt=CHECKPOINT_STEP_LIMIT)]]
    there: dict[str, CheckpointCount]
    steps: CheckpointCount

    @model_validator(mode="after")
    def _require_counts(self) -> Self:
        if set(self.sums) != set(self.counts):
            raise ValueError("expected a count for each sum")
        return self


class SumsForm(CheckpointSection):
    """What a checkpoint saved within an epoch knows about that epoch."""

    losses: MeansForm
    norms: MeansForm
    common: list[CheckpointCount]


class SettingsForm(CheckpointSection):
    """The settings of the plan that a time budget may have changed."""

    model_config = ConfigDict(strict=True, extra="forbid")

    tune_every: Annotated[int, Field(ge=1, lt=CHECKPOINT_STEP_LIMIT)] | None = None


class PaceForm(CheckpointSection):
    """The seconds that a run with a time budget has spent, and those of one step and of one evaluation on tune."""

    model_config = ConfigDict(strict=True, extra="forbid")

    spent: Annotated[float, Field(ge=0)]
    per_step: Annotated[float, Field(ge=0)]
    per_tune: Annotated[float, Field(ge=0)]


class EmptyForm(CheckpointSection):
    """The form of a mapping that must be empty."""

    model_config = ConfigDict(strict=True, extra="forbid")


class CheckpointForm(CheckpointSection):
    """The form of the whole document; see `state.FitState`. Checkpoints of earlier versions lack some counters."""

    plan: str
    schedule: ScheduleForm
    criteria: dict[str, Any]
    step: CheckpointCount
    best: float | None = None
    best_epoch: Annotated[int, Field(ge=-1, lt=CHECKPOINT_STEP_LIMIT)] | None = None
    stale: CheckpointCount | None = None
    skipped: CheckpointCount | None = None
    in_a_row: CheckpointCount | None = None
    finished: bool | None = None
    settings: SettingsForm | None = None
    pace: PaceForm | EmptyForm | None = None
    epoch_sums: SumsForm | EmptyForm | None = None


def find_checkpoint_problem(content: Any, pairs: int | None = None) -> str:
    """Say in one line why `content` cannot be the counters of a checkpoint; return "" when it can.

    Args:
        pairs: how many pairs of tasks the network has; by default any number is allowed.
    """
    try:
        form = CheckpointForm.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'][0].lower()}{first['msg'][1:]}"
    if form.step > form.schedule.end:
        return f"step: {form.step} is after the end of the schedule, {form.schedule.end}"
    if isinstance(form.epoch_sums, SumsForm) and pairs not in (None, len(form.epoch_sums.common)):
        return f"epoch_sums.common: expected {pairs} counts"
    return ""
