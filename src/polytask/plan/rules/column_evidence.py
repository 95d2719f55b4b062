"""Collects what each task says about numeric columns: cells beside answers, associations, and how many it can bear."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.header import PooledSpec
from polytask.kinds import find_answer_form
from polytask.kinds.kind import AnswerForm, AnswerValue
from polytask.plan.rules.association import (
    compute_cox_z,
    compute_log_rank_scores,
    compute_rank_z,
    compute_z_from_ranks,
    rank_columns,
)
from polytask.plan.rules.fold_facts import FoldFacts

MIN_KNOWN_ANSWERS = 8
"""A task with fewer known answers than this judges no column."""
EVENTS_PER_COLUMN = 10
"""A task bears one column for each so many events or cases of the rarer class (Harrell, Stat Med 1984)."""


@dataclass(frozen=True)
class TaskAnswers:
    """The known training answers of one visit or subject task.

    Args:
        task: name of the task. form: form of its answers.
        rows: for each answer the positions of the cases that the task reads, among the training cases.
        owners: index of the subject of each answer.
        scores: one or several numbers per answer, each `[N]`, that columns are compared with; NaN where unknown. A
            task with classes has one for each class, and one with labels one for each label.
        values: the answers themselves.
    """

    task: str
    form: AnswerForm
    rows: list[list[int]]
    owners: npt.NDArray[np.intp]
    scores: list[Floats]
    values: list[AnswerValue]

    def count_events(self) -> tuple[int, str]:
        """Count what limits the number of columns, and say in words what was counted."""
        if self.form == "time":
            return int((np.array(self.values, np.float64)[:, 1] > 0).sum()), "observed events"
        if self.form in ("class", "grade"):
            counts = np.unique(np.array(self.values, np.float64), return_counts=True)[1]
            rare = "of the rarer class" if counts.size == 2 else "outside the most frequent class"
            return int(counts.sum() - counts.max()), f"cases {rare}"
        if self.form == "labels":
            known = [label[~np.isnan(label)] for label in self.scores]
            rarer = max(int(min((label > 0).sum(), (label <= 0).sum())) for label in known)
            return rarer, "cases of the rarer value of a label"
        return len(self.values), "known answers"

    @property
    def limit(self) -> int:
        """Largest number of columns that are kept for this task."""
        return max(1, self.count_events()[0] // EVENTS_PER_COLUMN)

    def average_cells(self, values: Floats) -> Floats:
        """Average the known cells over the cases of each answer: `[cases, P]` → `[N, P]`, NaN where there is none."""
        if all(len(rows) == 1 for rows in self.rows):
            return values[[rows[0] for rows in self.rows]]
        return np.stack([_average_known_cells(values[rows]) for rows in self.rows])

    def measure_strength(self, matrix: Floats) -> Floats:
        """Measure |z| of each column of `[N, P]`; of several scores the strongest counts."""
        if self.form == "time":
            pairs = np.array(self.values, np.float64)
            return compute_cox_z(matrix, pairs[:, 0], pairs[:, 1])
        if self.form == "labels":
            known = [(~np.isnan(label), label) for label in self.scores]
            return np.asarray(np.max([compute_rank_z(matrix[k], label[k]) for k, label in known], axis=0))
        ranked = rank_columns(matrix)
        return np.asarray(np.max([compute_z_from_ranks(ranked, score) for score in self.scores], axis=0))


def collect_answers(basis: FoldFacts) -> Iterator[TaskAnswers]:
    """Yield the answers of each visit and subject task that has enough of them in the train part.

    A subject task is compared with the mean of a column over the visits that it reads.
    """
    cases = [cases[0] for cases in basis.items("visit")]
    place = {subject: index for index, subject in enumerate(basis.train)}
    for name, spec in basis.cohort.header.tasks.items():
        if not isinstance(spec, PooledSpec):
            continue
        units = [[row] for row in range(len(cases))]
        if spec.level == "subject":
            rows_by_subject: dict[str, list[int]] = {case.subject: [] for case in cases}
            for row, case in enumerate(cases):
                if spec.visits is None or case.visit in spec.visits or not basis.cohort.header.visits:
                    rows_by_subject[case.subject].append(row)
            units = [rows for rows in rows_by_subject.values() if rows]
        answers = [pooled_value(basis.cohort, (cases[rows[0]],), name) for rows in units]
        answered = [(rows, a) for rows, a in zip(units, answers, strict=True) if a is not None]
        if len(answered) < MIN_KNOWN_ANSWERS:
            continue
        form, values = find_answer_form(spec.kind), [a for _, a in answered]
        owners = np.array([place[cases[rows[0]].subject] for rows, _ in answered])
        yield TaskAnswers(
            name, form, [rows for rows, _ in answered], owners, _score_answers(form, values), values
        )


def _score_answers(form: AnswerForm, values: list[AnswerValue]) -> list[Floats]:
    """Turn answers into numbers that a column can be correlated with, see `TaskAnswers.scores`."""
    if form == "time":
        pairs = np.array(values, np.float64)
        return [compute_log_rank_scores(pairs[:, 0], pairs[:, 1])]
    if form == "labels":
        labels = np.array(cast("list[tuple[int | None, ...]]", values), np.float64).T
        return [label for label in labels if not np.isnan(label).all()]
    numbers = np.array(values, np.float64)
    if form == "class":
        # Two classes are one question: the second score would only be the first one turned over.
        classes = np.unique(numbers)
        return [(numbers == c).astype(np.float64) for c in (classes[1:] if classes.size == 2 else classes)]
    # A number, or the position of a grade in the order; ranks make both the same kind of test.
    return [rank_columns(numbers[:, None])[:, 0]]


def _average_known_cells(values: Floats) -> Floats:
    """Average the known cells of each column over the rows, NaN where there is none."""
    # np.nanmean would warn about columns without any known cell.
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)
