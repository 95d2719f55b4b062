"""The facts of one fold: its train part and nothing else, so that no other subject can change a byte of its plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from polytask.cohort.cohort import Case, Cohort
from polytask.cohort.values import Value, pooled_value
from polytask.errors import PolytaskError
from polytask.plan.plan import ImagePlan
from polytask.plan.records import CaseRecord, Fingerprint


@dataclass(frozen=True)
class FoldBasis:
    """Facts for one fold's rules.

    Args:
        number: of the fold, for messages.
        train: its training subjects.
        images: the shared plan of the image inputs.
    """

    cohort: Cohort
    fingerprint: Fingerprint
    number: int
    train: tuple[str, ...]
    images: dict[str, ImagePlan]

    @cached_property
    def records(self) -> list[CaseRecord]:
        """Fingerprints of the training cases."""
        return self.fingerprint.of(self.train)

    def items(self, level: str) -> Iterator[Sequence[Case]]:
        """The training subjects with all their cases, or for `visit` every case alone."""
        for subject in self.train:
            cases = self.cohort.subjects[subject]
            if level == "subject":
                yield cases
            else:
                yield from ((case,) for case in cases)

    def values(self, task: str) -> list[Value]:
        """Known training values of a visit or subject task."""
        level = self.cohort.header.tasks[task].level
        found = (pooled_value(self.cohort, cases, task) for cases in self.items(level))
        return [value for value in found if value is not None]

    def missing(self, task: str, what: str) -> PolytaskError:
        """The error for something without which a task cannot be learnt."""
        return PolytaskError(
            f"{self.cohort.table}: task {task}: {what} among the {len(self.train)} training subjects of fold "
            f"{self.number}; fill more cells, use fewer folds or another --seed, or take it out of cohort.yaml"
        )
