"""The kind `survival`, the time to an event that may not be observed: what header and plan say about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from polytask.array_types import Floats
from polytask.errors import suggest_word
from polytask.kinds.cell_readers import EVENT_MEANING, read_time, read_zero_or_one
from polytask.kinds.constant_losses import (
    choose_hazard_bins,
    compute_expected_hazard_loss,
    estimate_hazard_rates,
    find_survival_constant,
)
from polytask.kinds.field_limits import CurveField, PooledLevel, PositiveNumber, ShareNumber
from polytask.kinds.header_words import HeaderText
from polytask.kinds.horizons import MIN_UNCENSORED_SHARE, list_defined_horizons
from polytask.kinds.kind import (
    AnswerForm,
    Arrays,
    CellParser,
    CellReader,
    IncompleteAnswer,
    MissingInTrain,
    PlanFields,
    PooledFields,
    SkillRule,
    TaskFields,
    TrainNeed,
)
from polytask.kinds.landmarks import list_landmark_breaches
from polytask.kinds.plan_reasons import PlanReasons, join_numbers, round_number
from polytask.kinds.step_curves import TimeCurve, estimate_censoring, evaluate_survival
from polytask.kinds.task_spec import EventTimeSpec, TaskSpec

RISK_SET_CAPACITY = 256
"""Number of subjects in the risk-set buffer of the Cox loss."""
EVENTS_PER_HAZARD_BIN = 5
"""Hazard intervals are chosen so that each has about this many events."""
MIN_HAZARD_BINS, MAX_HAZARD_BINS = 4, 10
"""Smallest and largest number of hazard intervals."""


class SurvivalSpec(EventTimeSpec):
    """Time to an event; the columns are `<task>_time` and `<task>_event` (1 = observed)."""

    kind: Literal["survival"]
    level: Literal["visit", "subject"] = "subject"
    unit: str = "days"
    origin: HeaderText | None = None
    horizons: list[PositiveNumber] = Field(default=[])
    landmarks: list[HeaderText] = Field(default=[])


class SurvivalFields(PooledFields):
    """Fields of a survival task in the plan; `tasks/survival.py` explains them."""

    lengths: ClassVar[Mapping[str, str]] = {"hazards": "bins"}

    kind: Literal["survival"]
    level: PooledLevel
    loss: Literal["cox", "hazard"]
    unit: str
    horizons: list[PositiveNumber]
    bins: Annotated[list[PositiveNumber], Field(min_length=1)]
    hazards: list[ShareNumber]
    buffer: Annotated[int, Field(ge=0)]
    censoring: CurveField
    baseline: CurveField
    landmarks: dict[str, CurveField] = Field(default={})


class SurvivalKind:
    """The kind of task whose answer is a cell with a time and one with 1 (event) or 0 (censored)."""

    name: ClassVar[str] = "survival"
    level: ClassVar[Literal["pooled"]] = "pooled"
    spec: ClassVar[type[TaskSpec]] = SurvivalSpec
    fields: ClassVar[type[TaskFields]] = SurvivalFields
    task_class: ClassVar[str] = "polytask.tasks.survival:Survival"
    answer_form: ClassVar[AnswerForm] = "time"
    primary: ClassVar[str] = "c"
    skill_rule: ClassVar[SkillRule] = "rank"
    summary_field: ClassVar[str] = "bins"
    nothing_message: ClassVar[str] = "loss 'hazard' expects 'bins'; add them, or choose loss 'cox'"

    def list_columns(self, task: SurvivalSpec, stem: str) -> tuple[str, ...]:
        return f"{stem}_time", f"{stem}_event"

    def list_optional_columns(self, task: SurvivalSpec, stem: str) -> tuple[str, ...]:
        return ()

    def list_breaches(
        self, task: SurvivalSpec, others: Mapping[str, TaskSpec], visits: Sequence[str]
    ) -> Iterator[tuple[str, str]]:
        if task.origin is not None and task.origin not in visits:
            yield (
                "origin",
                f"visit {task.origin!r} is not in the header's `visits`: {suggest_word(task.origin, visits)}",
            )
        yield from list_landmark_breaches(task, visits)

    def list_parsers(self, task: SurvivalSpec, stem: str) -> dict[str, CellParser]:
        return {f"{stem}_time": read_time, f"{stem}_event": partial(read_zero_or_one, meaning=EVENT_MEANING)}

    def list_measured_columns(self, task: SurvivalSpec, stem: str) -> dict[str, CellParser]:
        return {f"{stem}_time": read_time}

    def list_needs(self, task: SurvivalSpec, name: str, stem: str) -> list[TrainNeed]:
        return [
            TrainNeed("event", f"{stem}_event", "an observed event", "add more follow-up, or remove the task")
        ]

    def make_spec(self, words: Sequence[str], level: str, unit: str) -> SurvivalSpec:
        return SurvivalSpec.model_validate({"kind": self.name, "level": level, "unit": unit or "days"})

    def read_answer(self, task: SurvivalSpec, stem: str, read: CellReader) -> tuple[float, float] | None:
        time, event = (read(column, parse) for column, parse in self.list_parsers(task, stem).items())
        if (time is None) != (event is None):
            missing = "event" if event is None else "time"
            raise IncompleteAnswer(
                f"{stem} has no {missing}; expected time and event, both or neither; fill or empty both"
            )
        return None if time is None or event is None else (time, float(event))

    def list_strata(
        self, task: SurvivalSpec, answers: Mapping[str, Sequence[tuple[float, float]]]
    ) -> dict[str, set[str]]:
        return {
            s: {"", *("event" if event else "censored" for _, event in pairs)} for s, pairs in answers.items()
        }

    def make_arrays(self, task: SurvivalSpec, values: Sequence[tuple[float, float] | None]) -> Arrays:
        known = np.array([v is not None for v in values], bool)
        pairs = [(0.0, 0.0) if v is None else v for v in values]
        return np.array(pairs, np.float32).reshape(-1, 2), known

    def decide_fields(
        self, task: SurvivalSpec, values: Sequence[tuple[float, float]], why: PlanReasons
    ) -> PlanFields:
        times, events = np.array(values, np.float64).reshape(-1, 2).T
        happened = times[events > 0]
        if not happened.size:
            raise MissingInTrain("no event is observed")
        event_count = f"{happened.size} events among {times.size} known training times"
        censoring = estimate_censoring(times, events)
        horizons = _choose_horizons(task, times, events, censoring, event_count, why)
        unit, longest = f" {task.unit}" if task.unit else "", float(times.max())
        count = min(MAX_HAZARD_BINS, max(MIN_HAZARD_BINS, happened.size // EVENTS_PER_HAZARD_BIN))
        *inner, end = choose_hazard_bins(times.tolist(), events.tolist(), count)
        # The last edge is not rounded: it is the last event, and rounded down the event would lie outside.
        bins = why.choose_value("bins", [*sorted({b for b in map(round_number, inner) if 0 < b < end}), end])
        hazards = [round_number(h, 5) for h in estimate_hazard_rates(times.tolist(), events.tolist(), bins)]
        buffer = why.choose_value("buffer", RISK_SET_CAPACITY)
        why["."] = "unit and level as in the header; primary metric: c"
        why["loss"] = (
            "cox: no intervals to choose; `hazard` is the alternative that gives probabilities without a baseline"
        )
        beyond = [h for h in horizons if end < h <= longest]
        why["bins"] = (
            f"{len(bins)} intervals with about as many events each, up to the last event at {end:g}{unit} "
            f"({event_count}); used by `hazard`"
            + (f", which gives no probability at {join_numbers(beyond)}" if beyond else "")
        )
        why["hazards"] = "share of those at risk with the event in each interval of `bins`; used by `hazard`"
        why["buffer"] = (
            "number of subjects whose latest scores are kept for the risk sets, to come close to batches of "
            f"{buffer}"
        )
        why["censoring"] = (
            f"Kaplan–Meier of the censoring ({times.size - happened.size} of {times.size} training times)"
        )
        why["baseline"] = "filled after training, from the trained scores"
        why["constant"] = "loss per event of equal scores: the loss is divided by it and so starts near 1"
        return {
            "kind": self.name,
            "level": task.level,
            "applies_when": dict(task.applies_when),
            "loss": "cox",
            "unit": task.unit,
            "horizons": horizons,
            "bins": bins,
            "hazards": hazards,
            "buffer": buffer,
            "censoring": {k: [round_number(float(v)) for v in values] for k, values in censoring.items()},
            "baseline": {},
            "landmarks": {},
            "constant": round_number(find_survival_constant(times.tolist(), events.tolist(), buffer), 5),
        }

    def find_constant(self, fields: Mapping[str, Any]) -> float | None:
        if fields["loss"] != "hazard":
            # The Cox constant needs the training times, which are not among the fields.
            return None
        return compute_expected_hazard_loss(fields["bins"], fields["hazards"], fields["censoring"])


def _choose_horizons(
    task: SurvivalSpec,
    times: Floats,
    events: Floats,
    censoring: TimeCurve,
    event_count: str,
    why: PlanReasons,
) -> list[float]:
    """Choose the times at which survival is judged: of the header, else 1, 2 and 5 years, else quartiles of the events.

    The reason also names the horizons at which metrics or probabilities are not defined.

    Args:
        times, events: the known training answers, each `[N]`.
        event_count: the number of events and times, as text for the reason.
    """
    horizons = [float(h) for h in task.horizons]
    if horizons:
        why["horizons"] = "as in the header"
    elif horizons := list_defined_horizons(task.unit, times, events, censoring):
        why["horizons"] = f"1, 2 and 5 years where they lie within the follow-up ({event_count})"
    else:
        quartiles = np.quantile(times[events > 0], (0.25, 0.5, 0.75))
        horizons = sorted({round_number(float(q), 3) for q in quartiles if q > 0})
        why["horizons"] = f"quartiles of the event times ({event_count})"
    free = evaluate_survival(censoring, np.array(horizons))
    if lost := [h for h, g in zip(horizons, free, strict=True) if g < MIN_UNCENSORED_SHARE]:
        why.extend(
            "horizons",
            f"; at {join_numbers(lost)} too few subjects are uncensored: metrics are not defined there",
        )
    unit, longest = f" {task.unit}" if task.unit else "", float(times.max())
    if late := [h for h in horizons if h > longest]:
        nobody = f"nobody was followed for longer than {longest:g}{unit}"
        why.extend("horizons", f"; at {join_numbers(late)} no probability: {nobody}")
    return horizons
