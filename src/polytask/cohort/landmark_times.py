"""The time of an event as it is counted at a landmark: from the visit at which the risk is judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from polytask.errors import PolytaskError
from polytask.kinds.horizons import count_days_per_unit
from polytask.kinds.kind import AnswerValue
from polytask.kinds.task_spec import EventTimeSpec

if TYPE_CHECKING:
    from polytask.cohort.cohort import Case, Cohort


def count_from_landmark(
    cohort: Cohort, task: str, case: Case, answer: AnswerValue
) -> tuple[float, float] | None:
    """Count a subject's (time, event) from one of its visits on, in the unit of the task.

    None where the visit is no landmark, and where event or censoring came before it or on its day: such a subject has
    left the risk set of this landmark.

    Raises:
        PolytaskError: a day is not known from which time would have to be counted.
    """
    spec = cohort.header.tasks[task]
    assert isinstance(spec, EventTimeSpec)
    if case.visit not in spec.landmarks:
        return None
    days = count_days_per_unit(spec.unit)
    assert days is not None, "the header refuses landmarks in other units"
    match answer:
        case (float() as time, float() as event):
            pass
        case _:
            raise TypeError(f"{task}: {answer!r} is no time with its event")
    left = time - (_read_day(cohort, case, task) - _read_origin_day(cohort, spec, case, task)) / days
    return (left, event) if left > 0 else None


def _read_day(cohort: Cohort, case: Case, task: str) -> float:
    if case.day is None:
        raise PolytaskError(
            f"{cohort.table}, row {case.row}, subject {case.subject}: task {task} counts time from landmark "
            f"{case.visit!r}, which has no day; fill in `day`, or take the visit out of `landmarks`"
        )
    return case.day


def _read_origin_day(cohort: Cohort, spec: EventTimeSpec, case: Case, task: str) -> float:
    """Read the day from which the cells count: that of the origin, or day 0 where the task names none."""
    if spec.origin is None:
        return 0.0
    origin = next((c for c in cohort.subjects[case.subject] if c.visit == spec.origin), None)
    if origin is None:
        raise PolytaskError(
            f"{cohort.table}, subject {case.subject}: task {task} counts from {spec.origin!r}, a visit that is "
            "missing; add its row with a day, or leave out `origin` to count from day 0"
        )
    return _read_day(cohort, origin, task)
