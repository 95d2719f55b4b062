"""Which of very many numeric columns a fold keeps: what its own train part says about them and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from polytask.cohort.header import (
    PooledSpec,
)
from polytask.cohort.values import pooled_value
from polytask.kinds import answer_form
from polytask.kinds.reasons import few, percent
from polytask.plan.rules.association import (
    cox_association,
    rank_association,
    ranked_association,
    ranks,
    repeats,
)
from polytask.plan.rules.fold import FoldBasis

MOST, LEAST, PER_SUBJECT = 256, 64, 5
"""Numeric columns kept of a table: five for each training subject, but no fewer than 64 and no more than 256."""
FILLED = 0.5
ALIKE = 0.95
ANSWERED = 8
"""With fewer known answers a task judges no column."""
Floats = npt.NDArray[np.float64]


def column_limit(subjects: int) -> int:
    """Numeric columns a table may have before it is screened, and how many are kept then."""
    return max(LEAST, min(MOST, PER_SUBJECT * subjects))


@dataclass(frozen=True)
class Screening:
    """What was kept, in the header's order.

    Args:
        kept: column → why it is among them.
        dropped: the others; the plan says how many, not which.
        reason: how many of how many, and where the others were lost.
    """

    kept: dict[str, str]
    dropped: frozenset[str]
    reason: str


def screen(basis: FoldBasis, table: str, columns: Sequence[str]) -> Screening:
    """The most promising numeric columns of a table.

    First without looking at answers: a column known for half of the subjects, at whichever visit, that varies, and
    repeats none before it. Then by its association with each visit and subject task (`association`), the best of its
    places counting: a column that serves one task well is worth as much as one that serves all.
    """
    limit = column_limit(len(basis.train))
    values = _matrix(basis, table, columns)
    known = ~np.isnan(values)
    filled = _of_subjects(basis, known) >= FILLED
    varies = np.where(known, values, -np.inf).max(0) > np.where(known, values, np.inf).min(0)
    left = np.flatnonzero(filled & varies)
    alike = repeats(values[:, left], ALIKE)
    left = left[~alike]
    strengths = {task: z for task, z in _strengths(basis, values[:, left]) if z.any()}
    chosen, words = _best(strengths, left.size, limit)
    lost = {
        f"known for less than {percent(FILLED)} of the training subjects": int((~filled).sum()),
        "never vary": int((filled & ~varies).sum()),
        f"repeat one before them (|r| above {ALIKE:g})": int(alike.sum()),
        f"go less with {few(list(strengths))} in train (rank tests; Cox's score test for survival)"
        if strengths
        else "stand behind these (no task to judge them by)": left.size - len(chosen),
    }
    parts = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
    kept = {columns[left[i]]: word for i, word in zip(chosen, words, strict=True)}
    return Screening(
        kept,
        frozenset(columns) - frozenset(kept),
        f"{len(chosen)} of {len(columns)} numeric columns are used, as there are more than {limit} "
        f"({PER_SUBJECT} for each of {len(basis.train)} training subjects, at least {LEAST}, at most {MOST}): {parts}",
    )


def _matrix(basis: FoldBasis, table: str, columns: Sequence[str]) -> Floats:
    """Cells of the training cases `[cases, columns]`, NaN where unknown."""
    found = np.empty((basis.rows.size, len(columns)))
    for place, column in enumerate(columns):
        found[:, place] = _of_cases(basis, table, column)
    return found


def _of_cases(basis: FoldBasis, table: str, column: str) -> Floats:
    """A column of each training case; one that belongs to the subject says the same at all its cases."""
    values = basis.numbers(table, column)
    if basis.cohort.header.tables[table].columns[column].level == "visit":
        return values
    return np.repeat(values, [len(basis.cohort.subjects[subject]) for subject in basis.train])


def _of_subjects(basis: FoldBasis, known: npt.NDArray[np.bool_]) -> Floats:
    """Share of the training subjects of whom a cell is known at any visit; `known [cases, columns]`."""
    counts = [len(basis.cohort.subjects[subject]) for subject in basis.train]
    there = np.stack([part.any(0) for part in np.split(known, np.cumsum(counts)[:-1])])
    return np.asarray(there.mean(0), np.float64)


def _strengths(basis: FoldBasis, values: Floats) -> Iterator[tuple[str, Floats]]:
    """Visit or subject task → |z| of each column. A subject task is held against the mean over the visits it reads."""
    cases = [cases[0] for cases in basis.items("visit")]
    for name, spec in basis.cohort.header.tasks.items():
        if not isinstance(spec, PooledSpec):
            continue
        units = [[row] for row in range(len(cases))]
        if spec.level == "subject":
            seen: dict[str, list[int]] = {case.subject: [] for case in cases}
            for row, case in enumerate(cases):
                if spec.visits is None or case.visit in spec.visits or not basis.cohort.header.visits:
                    seen[case.subject].append(row)
            units = [rows for rows in seen.values() if rows]
        answers = [pooled_value(basis.cohort, (cases[rows[0]],), name) for rows in units]
        there = [(rows, a) for rows, a in zip(units, answers, strict=True) if a is not None]
        if len(there) < ANSWERED:
            continue
        matrix = np.stack([_mean(values[rows]) for rows, _ in there])
        found = [a for _, a in there]
        form = answer_form(spec.kind)
        if form == "time":
            pairs = np.array(found, np.float64)
            yield name, cox_association(matrix, pairs[:, 0], pairs[:, 1])
        elif form == "labels":
            labels = np.array(cast("list[tuple[int | None, ...]]", found), np.float64)
            told = [(~np.isnan(label), label) for label in labels.T]
            yield name, np.max([rank_association(matrix[k], label[k]) for k, label in told], axis=0)
        elif form == "class":
            classes, ranked = np.array(found, np.float64), ranks(matrix)
            each = [ranked_association(ranked, (classes == c).astype(np.float64)) for c in np.unique(classes)]
            yield name, np.max(each, axis=0)
        else:  # a number, or the place of a grade among the others
            numbers = np.array(found, np.float64)
            yield name, rank_association(matrix, ranks(numbers[:, None])[:, 0])


def _mean(values: Floats) -> Floats:
    """Mean over rows of the known cells, NaN where there is none."""
    known = ~np.isnan(values)
    count = known.sum(0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)


def _best(strengths: dict[str, Floats], count: int, limit: int) -> tuple[list[int], list[str]]:
    """Indices of the best columns in their order, and what each is good for."""
    if not strengths:
        return list(range(min(count, limit))), [""] * min(count, limit)
    names = list(strengths)
    table = np.stack([strengths[name] for name in names])
    order = np.argsort(-table, axis=1, kind="stable")
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.arange(count)[None], axis=1)
    task = np.lexsort((-table, places), axis=0)[0]
    place, strength = places[task, range(count)], table[task, range(count)]
    chosen = sorted(int(i) for i in np.lexsort((-strength, place))[:limit])
    words = [f"; number {place[i] + 1} for {names[task[i]]} (|z| {strength[i]:.2f})" for i in chosen]
    return chosen, words
