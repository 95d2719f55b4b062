"""Selects the numeric columns that a fold keeps when there are very many, judged by its own train part only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from polytask.array_types import Floats
from polytask.cohort.cell_values import pooled_value
from polytask.cohort.header import (
    PooledSpec,
)
from polytask.kinds import find_answer_form
from polytask.kinds.plan_reasons import format_share_percent, join_first_names
from polytask.plan.rules.association import (
    compute_cox_z,
    compute_rank_z,
    compute_z_from_ranks,
    find_repeated_columns,
    rank_columns,
)
from polytask.plan.rules.fold_facts import FoldFacts

MAX_SCREENED_COLUMNS, MIN_SCREENED_COLUMNS, COLUMNS_PER_SUBJECT = 256, 64, 5
"""Number of numeric columns kept of a table: five for each training subject, but at least 64 and at most 256."""
MIN_FILLED_SHARE = 0.5
"""A column must be known for at least this share of the training subjects."""
MAX_COLUMN_CORRELATION = 0.95
"""A column repeats an earlier one if their |correlation| is above this."""
MIN_KNOWN_ANSWERS = 8
"""A task with fewer known answers than this judges no column."""


def compute_column_limit(subjects: int) -> int:
    """Compute how many numeric columns a table may have; a larger table is screened down to this number."""
    return max(MIN_SCREENED_COLUMNS, min(MAX_SCREENED_COLUMNS, COLUMNS_PER_SUBJECT * subjects))


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


def screen_columns(basis: FoldFacts, table: str, columns: Sequence[str]) -> ColumnScreening:
    """Select the most promising numeric columns of a table.

    The first steps do not use the answers: a column must be known for half of the subjects (at any visit), must vary,
    and must not repeat an earlier column. The rest are ranked by their association with each visit and subject task
    (`association.py`), and the best rank of a column counts: a column that is good for one task is worth as much as one
    that is good for all.
    """
    limit = compute_column_limit(len(basis.train))
    values = _gather_case_cells(basis, table, columns)
    known = ~np.isnan(values)
    filled = _compute_known_share(basis, known) >= MIN_FILLED_SHARE
    # A column without any known cell compares −∞ with ∞ and does not vary either.
    varies = np.where(known, values, -np.inf).max(0) > np.where(known, values, np.inf).min(0)
    left = np.flatnonzero(filled & varies)
    alike = find_repeated_columns(values[:, left], MAX_COLUMN_CORRELATION)
    left = left[~alike]
    # A task whose |z| is 0 everywhere, e.g. because all its answers are equal, cannot rank columns.
    strengths = {task: z for task, z in _measure_associations(basis, values[:, left]) if z.any()}
    chosen, words = _choose_best_columns(strengths, left.size, limit)
    lost = {
        f"known for less than {format_share_percent(MIN_FILLED_SHARE)} of the training subjects": int(
            (~filled).sum()
        ),
        "that never vary": int((filled & ~varies).sum()),
        f"that repeat an earlier column (|r| above {MAX_COLUMN_CORRELATION:g})": int(alike.sum()),
        f"less associated with {join_first_names(list(strengths))} in train (rank tests; Cox's score test for survival)"
        if strengths
        else "later in the table (no task has enough known answers to rank them)": left.size - len(chosen),
    }
    parts = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
    kept = {columns[left[i]]: word for i, word in zip(chosen, words, strict=True)}
    return ColumnScreening(
        kept,
        frozenset(columns) - frozenset(kept),
        f"{len(chosen)} of {len(columns)} numeric columns are used; the limit is {limit} "
        f"({COLUMNS_PER_SUBJECT} for each of {len(basis.train)} training subjects, at least "
        f"{MIN_SCREENED_COLUMNS}, at most {MAX_SCREENED_COLUMNS}). Left out: {parts}",
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


def _measure_associations(basis: FoldFacts, values: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield (task, |z| of each column) for visit and subject tasks. A subject task is compared with the mean of a
    column over the visits that it reads."""
    cases = [cases[0] for cases in basis.items("visit")]
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
        matrix = np.stack([_average_known_cells(values[rows]) for rows, _ in answered])
        known_answers = [a for _, a in answered]
        form = find_answer_form(spec.kind)
        if form == "time":
            pairs = np.array(known_answers, np.float64)
            yield name, compute_cox_z(matrix, pairs[:, 0], pairs[:, 1])
        elif form == "labels":
            labels = np.array(cast("list[tuple[int | None, ...]]", known_answers), np.float64)
            known_labels = [(~np.isnan(label), label) for label in labels.T]
            # The strongest label counts: a column may be made for a single finding.
            yield name, np.max([compute_rank_z(matrix[k], label[k]) for k, label in known_labels], axis=0)
        elif form == "class":
            classes, ranked = np.array(known_answers, np.float64), rank_columns(matrix)
            z_by_class = [
                compute_z_from_ranks(ranked, (classes == c).astype(np.float64)) for c in np.unique(classes)
            ]
            yield name, np.max(z_by_class, axis=0)
        else:
            # A number, or the position of a grade in the order; ranks make both the same kind of test.
            numbers = np.array(known_answers, np.float64)
            yield name, compute_rank_z(matrix, rank_columns(numbers[:, None])[:, 0])


def _average_known_cells(values: Floats) -> Floats:
    """Average the known cells of each column over the rows, NaN where there is none."""
    # np.nanmean would warn about columns without any known cell.
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def _choose_best_columns(strengths: dict[str, Floats], count: int, limit: int) -> tuple[list[int], list[str]]:
    """Choose the best columns; return their indices in ascending order, and for each the task it is best for."""
    if not strengths:
        return list(range(min(count, limit))), [""] * min(count, limit)
    names = list(strengths)
    table = np.stack([strengths[name] for name in names])
    order = np.argsort(-table, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(count)[None], axis=1)
    # lexsort uses the last key first: the best place decides, and the larger |z| breaks ties.
    task = np.lexsort((-table, places), axis=0)[0]
    place, strength = places[task, range(count)], table[task, range(count)]
    chosen = sorted(int(i) for i in np.lexsort((-strength, place))[:limit])
    words = [
        f"; rank {place[i] + 1} by association with {names[task[i]]} (|z| {strength[i]:.2f})" for i in chosen
    ]
    return chosen, words
