"""Assign the visits of a sample to slots, and count the days since its first visit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from polytask.cohort.cohort import Case, Cohort, Sample
from polytask.cohort.header import Header
from polytask.cohort.read_visits import are_visits_joined


@dataclass(frozen=True)
class VisitSlots:
    """The visits of one sample: the case in each slot (None = no visit), and the days since the first visit."""

    cases: tuple[Case | None, ...]
    day: tuple[float, ...]

    @property
    def visits(self) -> tuple[str, ...]:
        """Names of the visits in their slots, "" where padded."""
        return tuple("" if c is None else c.visit for c in self.cases)


def count_visit_slots(header: Header, max_visits: int) -> int:
    """Count the slots of every sample: one when no task looks across visits, because then a sample is one case."""
    return max_visits if are_visits_joined(header) else 1


def assign_visit_slots(
    cohort: Cohort, sample: Sample, max_visits: int, read: Collection[str] | None = None
) -> VisitSlots:
    """Assign each visit of a sample to a slot.

    A visit takes the slot of its place in the header's `visits`, so that the second visit of a subject without a first
    one is not read as the first. When there are more names than slots, visits fill the slots from the left and the last
    ones are left out.

    Args:
        read: the visits that the tasks read (default: all, see `list_read_visits`). The slots of others stay empty, so
            that nobody pays for images that no answer needs. A sample that has none of these visits keeps its own.
    """
    count = count_visit_slots(cohort.header, max_visits)
    names = cohort.header.visits or []
    cases: list[Case | None] = [None] * count
    for place, case in enumerate(sample.cases):
        # With more names than slots, a name cannot stand for a slot: the cases fill the slots in order.
        slot = names.index(case.visit) if 1 < len(names) <= count else place
        if slot < count:
            cases[slot] = case
    # Days count from the first visit of the sample, also where no task reads that one.
    day = _count_days(cases, names)
    needed = [case if case is None or read is None or case.visit in read else None for case in cases]
    return VisitSlots(tuple(needed if any(needed) else cases), day)


def _count_days(cases: list[Case | None], names: list[str]) -> tuple[float, ...]:
    """Count the days since the first visit for each slot; 0 where padded.

    When no visit has a day, the place in the order of visits is used instead. When only some have one, a visit without
    takes the day of the visit before it.
    """
    known = [c.day for c in cases if c is not None and c.day is not None]
    if not known:
        order = [names.index(c.visit) if c is not None and c.visit in names else 0 for c in cases]
        first = min((o for o, c in zip(order, cases, strict=True) if c is not None), default=0)
        return tuple(float(o - first) if c is not None else 0.0 for o, c in zip(order, cases, strict=True))
    days, last = [], known[0]
    for case in cases:
        if case is not None and case.day is not None:
            last = case.day
        days.append(last - known[0] if case is not None else 0.0)
    return tuple(days)
