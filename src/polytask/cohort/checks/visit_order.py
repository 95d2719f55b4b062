"""Check time: days of visits are in order and known at landmarks, and no survival task reads a later visit."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from polytask.cohort.checks.evidence import Evidence
from polytask.cohort.header import EventTimeSpec
from polytask.errors import Problem


def check_visit_order(evidence: Evidence) -> Iterator[Problem]:
    """Find days that contradict the order of visits, and survival tasks that read visits after their origin."""
    header = evidence.header
    visits = header.visits or []
    for subject, cases in evidence.cohort.subjects.items():
        timed = [c for c in cases if c.day is not None and c.visit in visits]
        for before, case in pairwise(timed):
            if case.day is not None and before.day is not None and case.day < before.day:
                yield evidence.make_problem(
                    "error",
                    "visit-order",
                    f"day {case.day:g} of {case.visit!r} lies before day {before.day:g} of {before.visit!r}",
                    "correct the days, or the order of `visits`",
                    row=case.row,
                    subject=subject,
                    column="day",
                )
    yield from _check_landmarks(evidence)
    for name, task in header.tasks.items():
        if not isinstance(task, EventTimeSpec) or len(visits) < 2 or task.level == "visit":
            continue
        if task.origin is None:
            yield evidence.make_problem(
                "warning",
                "no-origin",
                f"task {name!r} does not say from which visit its time counts",
                f"add `origin: {visits[0]}`",
                file="cohort.yaml",
                column=name,
            )
        origin = task.origin or visits[0]
        # Whoever came to a later visit had survived until then: reading it gives away part of the answer.
        late = [v for v in task.visits or visits if visits.index(v) > visits.index(origin)]
        if late:
            yield evidence.make_problem(
                "warning",
                "after-origin",
                f"task {name!r} counts from {origin!r} but reads {', '.join(late)}: "
                "only subjects who survived until then have that visit",
                f"add `visits: [{origin}]`",
                file="cohort.yaml",
                column=name,
            )


def _check_landmarks(evidence: Evidence) -> Iterator[Problem]:
    """Find landmarks that no subject visits, and landmark or origin visits without a day to count time from."""
    for name, task in evidence.header.tasks.items():
        if not isinstance(task, EventTimeSpec) or not task.landmarks:
            continue
        counted = {*task.landmarks, *([task.origin] if task.origin else [])}
        there = {case.visit for case in evidence.cohort.cases}
        for visit in sorted(counted - there):
            message = f"task {name!r} counts from {visit!r}, a visit that no subject has"
            remedy = "add its rows, or take it out of `landmarks` and `origin`"
            yield evidence.make_problem("error", "landmark", message, remedy, file="cohort.yaml", column=name)
        for case in evidence.cohort.cases:
            if case.visit in counted and case.day is None:
                message = f"{case.visit!r} has no day, from which task {name!r} counts time"
                remedy = "fill in `day`, or take the visit out of `landmarks`"
                yield evidence.make_problem(
                    "error", "landmark", message, remedy, case.row, case.subject, "day"
                )
