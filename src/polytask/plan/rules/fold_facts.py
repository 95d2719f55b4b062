"""The facts of one fold: only its train part, so that no other subject can change a byte of the fold's plan."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from polytask.array_types import Floats
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.cohort import Case, Cohort
from polytask.errors import PolytaskError
from polytask.kinds.kind import AnswerValue
from polytask.plan.fingerprint_records import CaseRecord, Fingerprint
from polytask.plan.plan_schema import ImagePlan
from polytask.plan.rules.parsed_columns import CaseRows, ParsedColumns


@dataclass(frozen=True)
class FoldFacts:
    """Facts for the rules of one fold.

    Args:
        number: number of the fold, for messages.
        train: training subjects of the fold.
        images: the shared plan of the image inputs.
        parsed: numeric columns of the cohort, shared by all folds; made here when it is not given.
    """

    cohort: Cohort
    fingerprint: Fingerprint
    number: int
    train: tuple[str, ...]
    images: dict[str, ImagePlan]
    parsed: ParsedColumns | None = None

    @cached_property
    def columns(self) -> ParsedColumns:
        """The numeric columns of the table inputs."""
        return self.parsed or ParsedColumns(self.cohort)

    @cached_property
    def rows(self) -> CaseRows:
        """Positions of the training cases in the list of all cases of the cohort."""
        return self.columns.find_rows(self.train)

    def numbers(self, table: str, column: str) -> Floats:
        """Read a numeric column of the train part, NaN where unknown: one number per case, or one per subject when the
        column is at subject level."""
        if self.cohort.header.tables[table].columns[column].level == "subject":
            return self.columns.read_subjects(table, column, self.train)
        return self.columns.read_cases(table, column, self.rows)

    @cached_property
    def records(self) -> list[CaseRecord]:
        """Fingerprint records of the training cases."""
        return self.fingerprint.of(self.train)

    def items(self, level: str) -> Iterator[Sequence[Case]]:
        """Yield the cases of each training subject together, or every single case for the level `visit`."""
        for subject in self.train:
            cases = self.cohort.subjects[subject]
            if level == "subject":
                yield cases
            else:
                yield from ((case,) for case in cases)

    def values(self, task: str) -> list[AnswerValue]:
        """List the known training answers of a visit or subject task."""
        level = self.cohort.header.tasks[task].level
        answers = (pooled_value(self.cohort, cases, task) for cases in self.items(level))
        return [value for value in answers if value is not None]

    def list_landmark_answers(self, task: str, visit: str) -> list[AnswerValue]:
        """List the answers of the training subjects at risk at a landmark, counted from it."""
        cases = (case for subject in self.train for case in self.cohort.subjects[subject])
        answers = (pooled_value(self.cohort, (case,), task) for case in cases if case.visit == visit)
        return [answer for answer in answers if answer is not None]

    def missing(self, task: str, what: str) -> PolytaskError:
        """Make the error for something that the train part lacks and without which a task cannot be learned."""
        return PolytaskError(
            f"{self.cohort.table}: task {task}: {what} among the {len(self.train)} training subjects of fold "
            f"{self.number}; fill more cells, use fewer folds or another --seed, or take it out of cohort.yaml"
        )
