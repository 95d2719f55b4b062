"""Selects the numeric columns that a fold keeps of a wide table, judged by its own train part only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.kinds.plan_reasons import format_share_percent, join_first_names
from polytask.plan.rules.association import find_repeated_columns
from polytask.plan.rules.column_evidence import EVENTS_PER_COLUMN, TaskAnswers, collect_answers
from polytask.plan.rules.column_stability import (
    HALF_SAMPLE_PAIRS,
    MAX_UNRELATED_COLUMNS,
    MIN_FOUND_SHARE,
    compute_found_share,
    compute_half_threshold,
)
from polytask.plan.rules.fold_facts import FoldFacts

MAX_SMALL_TABLE = 32
"""A table with at most this many numeric columns was chosen by hand and keeps them all."""
MIN_FILLED_SHARE = 0.5
"""A column must be known for at least this share of the training subjects."""
MAX_COLUMN_CORRELATION = 0.95
"""A column repeats an earlier one if their |correlation| is above this."""


def is_table_screened(basis: FoldFacts, columns: int) -> bool:
    """Whether a table with so many numeric columns is screened: it is not small, and has more than any task bears."""
    if columns <= MAX_SMALL_TABLE:
        return False
    return columns > max((answers.limit for answers in collect_answers(basis)), default=0)


@dataclass(frozen=True)
class ColumnScreening:
    """The result of screening a table, with the columns in the order of the header.

    Args:
        kept: column → why it was kept.
        dropped: the other columns; the plan says how many they are, not which.
        reason: how many columns were kept, and at which step the others were dropped.
    """

    kept: dict[str, str]
    dropped: frozenset[str]
    reason: str


@dataclass(frozen=True)
class TaskJudgment:
    """What one task says about the columns that are judged.

    Args:
        answers: the answers of the task.
        strength: |z| of each column among all training subjects `[P]`.
        threshold: |z| above which a column is found in a half of the subjects.
        share: share of the halves in which each column is found `[P]`.
    """

    answers: TaskAnswers
    strength: Floats
    threshold: float
    share: Floats

    def list_best(self) -> list[int]:
        """List the columns that this task bears, best first: those found most often, then the most associated."""
        order = np.lexsort((-self.strength, -self.share))
        return [int(i) for i in order[: self.answers.limit] if self.strength[i] > 0]

    def count_stable(self) -> int:
        """Count the columns that are found in enough halves."""
        return int((self.share >= MIN_FOUND_SHARE).sum())


def screen_columns(
    basis: FoldFacts, table: str, columns: Sequence[str], needed: bool = False
) -> ColumnScreening:
    """Select the numeric columns of a table whose association with a task is stable; there may be none.

    The first steps do not use the answers: a column must be known for half of the subjects (at any visit), must vary,
    and must not repeat an earlier column. The rest are judged by each visit and subject task
    (`column_evidence.py`): a column stays if one task finds it in most halves of the subjects (`column_stability.py`).
    No task keeps more columns than its events or its rarer class bear.

    Args:
        needed: whether the tasks have nothing else to read. Then the best columns stay even if none is stable.
    """
    values = _gather_case_cells(basis, table, columns)
    known = ~np.isnan(values)
    filled = _compute_known_share(basis, known) >= MIN_FILLED_SHARE
    # A column without any known cell compares −∞ with ∞ and does not vary either.
    varies = np.where(known, values, -np.inf).max(0) > np.where(known, values, np.inf).min(0)
    left = np.flatnonzero(filled & varies)
    alike = find_repeated_columns(values[:, left], MAX_COLUMN_CORRELATION)
    left = left[~alike]
    judgments = _judge_columns(basis, values[:, left])
    chosen, rule, lost_words = _choose_columns(judgments, left.size, needed)
    lost = {
        f"known for less than {format_share_percent(MIN_FILLED_SHARE)} of the training subjects": int(
            (~filled).sum()
        ),
        "that never vary": int((filled & ~varies).sum()),
        f"that repeat an earlier column (|r| above {MAX_COLUMN_CORRELATION:g})": int(alike.sum()),
        lost_words: left.size - len(chosen),
    }
    parts = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
    kept = {columns[left[i]]: chosen[i] for i in sorted(chosen)}
    return ColumnScreening(
        kept,
        frozenset(columns) - frozenset(kept),
        f"{len(chosen) or 'none'} of {len(columns)} numeric columns {'is' if len(chosen) < 2 else 'are'} kept: {rule}. "
        f"Left out: {parts or 'none'}",
    )


def _judge_columns(basis: FoldFacts, values: Floats) -> list[TaskJudgment]:
    """Judge the columns of `values [cases, P]` by each task."""
    measured = []
    for answers in collect_answers(basis):
        matrix = answers.average_cells(values)
        strength = answers.measure_strength(matrix)
        # A task whose |z| is 0 everywhere, e.g. because all its answers are equal, cannot judge columns.
        if strength.any():
            measured.append((answers, strength))
    judgments = []
    for answers, strength in measured:
        threshold = compute_half_threshold(values.shape[1], len(measured), len(answers.scores))
        share = np.zeros(strength.size)
        # Twice the subjects give about √2 × the |z|: a column that is below the threshold among all subjects is not
        # above it in most halves. Leaving such columns out keeps 20,000 columns quick.
        near = np.flatnonzero(strength > threshold)
        matrix = answers.average_cells(values[:, near])
        share[near] = compute_found_share(matrix, answers.scores, answers.owners, threshold)
        judgments.append(TaskJudgment(answers, strength, threshold, share))
    return judgments


def _choose_columns(
    judgments: list[TaskJudgment], count: int, needed: bool
) -> tuple[dict[int, str], str, str]:
    """Choose among the columns: (index → why it was kept, the rule in words, what the others lack)."""
    if not count:
        return {}, "nothing is left to judge", ""
    if not judgments:
        chosen = dict.fromkeys(range(min(count, MAX_SMALL_TABLE)), "")
        return (
            chosen,
            f"the first {MAX_SMALL_TABLE}",
            "later in the table (no task has enough known answers to judge them)",
        )
    limits = ", ".join(_describe_limit(judgment.answers) for judgment in judgments)
    evidence = (
        f"in at least {format_share_percent(MIN_FOUND_SHARE)} of {2 * HALF_SAMPLE_PAIRS} random halves of the training "
        f"subjects, |z| of the association with "
        + join_first_names([f"{j.answers.task} is above {j.threshold:.2f}" for j in judgments])
        + f" (rank tests, log-rank scores for survival; so at most {MAX_UNRELATED_COLUMNS:g} unrelated column is "
        f"expected among them, Shah & Samworth 2013). The limit is {limits}"
    )
    stable = {i for j in judgments for i in j.list_best() if j.share[i] >= MIN_FOUND_SHARE}
    chosen = {i: _describe_column(judgments, i) for i in stable}
    names = join_first_names([j.answers.task for j in judgments])
    beyond = sum(max(0, j.count_stable() - j.answers.limit) for j in judgments)
    unstable = f"not stably associated with {names}" + (f", or beyond the limit ({beyond})" if beyond else "")
    if chosen or not needed:
        return chosen, evidence, unstable
    chosen = {i: _describe_column(judgments, i) for j in judgments for i in j.list_best()}
    return (
        chosen,
        "the most associated ones, because the tasks have nothing else to read. None of them is stable, so expect "
        f"little. Stable means: {evidence}",
        unstable,
    )


def _describe_limit(answers: TaskAnswers) -> str:
    events, words = answers.count_events()
    return f"{answers.limit} for {answers.task} ({events} {words}, {EVENTS_PER_COLUMN} for each column)"


def _describe_column(judgments: list[TaskJudgment], index: int) -> str:
    """Describe the association of a column with the task that finds it most often."""
    best = max(judgments, key=lambda j: (j.share[index], j.strength[index]))
    return (
        f"; associated with {best.answers.task} (|z| {best.strength[index]:.2f}) and found in "
        f"{format_share_percent(best.share[index])} of the halves"
    )


def _gather_case_cells(basis: FoldFacts, table: str, columns: Sequence[str]) -> Floats:
    """Gather the cells of the training cases `[cases, columns]`, NaN where unknown."""
    cells = np.empty((basis.rows.size, len(columns)))
    for place, column in enumerate(columns):
        cells[:, place] = _read_case_column(basis, table, column)
    return cells


def _read_case_column(basis: FoldFacts, table: str, column: str) -> Floats:
    """Read one column for each training case; a subject-level value is repeated for all cases of the subject."""
    values = basis.numbers(table, column)
    if basis.cohort.header.tables[table].columns[column].level == "visit":
        return values
    return np.repeat(values, [len(basis.cohort.subjects[subject]) for subject in basis.train])


def _compute_known_share(basis: FoldFacts, known: npt.NDArray[np.bool_]) -> Floats:
    """Compute for each column the share of training subjects with a known cell at any visit, from `known [cases,
    columns]`."""
    # The cases of a subject are neighbors, so the array can be split after each subject.
    counts = [len(basis.cohort.subjects[subject]) for subject in basis.train]
    known_by_subject = np.stack([part.any(0) for part in np.split(known, np.cumsum(counts)[:-1])])
    return np.asarray(known_by_subject.mean(0), np.float64)
