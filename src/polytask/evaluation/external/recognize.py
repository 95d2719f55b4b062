"""Subjects of another cohort that a model was trained on, recognized by what their images show."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from polytask.cohort.cohort import Case, Cohort
from polytask.predict.seen import Progress, Seen
from polytask.prepare.content import digest_case, row_cells

CHANCE = 0.05
"""Rows of cells are taken for the same person only where fewer strangers than this are expected to share them."""


@dataclass(frozen=True)
class Recognized:
    """Subjects of the other cohort.

    Args:
        trained: with an image (or row of cells) of the training. held_out: with one of the held-out part.
        alike: whose few cells are those of somebody in the training, as strangers' may be.
        unchecked: without anything to recognize them by.
    """

    trained: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def recognize(cohort: Cohort, seen: Seen, progress: Progress | None = None) -> Recognized:
    """Hold every subject of a cohort, read through the model's header, against what was in training. Opens images."""
    digests: dict[str, set[str]] = {}
    for k, case in enumerate(cohort.cases):
        if progress:
            progress(k, len(cohort.cases), f"seen in training? {case.subject}")
        found = digest_case(cohort, case).values()
        digests.setdefault(case.subject, set()).update(seen.blurred(d) for d in found)
    trained = [s for s, mine in digests.items() if mine & seen.trained]
    held_out = [s for s, mine in digests.items() if mine & seen.held_out and s not in trained]
    unchecked = [s for s, mine in digests.items() if not mine]
    alike: list[str] = []
    if seen.by == "cells":
        strangers = expected_strangers(cohort, seen.subjects)
        alike = [s for s in trained if strangers[s] >= CHANCE]
        trained = [s for s in trained if s not in alike]
        held_out = [s for s in held_out if strangers[s] < CHANCE]
    return Recognized(tuple(trained), tuple(held_out), tuple(alike), tuple(unchecked))


def expected_strangers(cohort: Cohort, subjects: int) -> dict[str, float]:
    """Subject → how many of `subjects` strangers would share all its known cells, were columns independent and each
    as varied as in this cohort; of its rows the most telling."""
    rows: list[tuple[Case, dict[str, str]]] = [(case, row_cells(cohort, case)) for case in cohort.cases]
    counts: dict[str, Counter[str]] = {}
    for _, cells in rows:
        for column, cell in cells.items():
            counts.setdefault(column, Counter())[cell] += 1
    chance = {c: sum((n / k.total()) ** 2 for n in k.values()) for c, k in counts.items()}
    found: dict[str, float] = {}
    for case, cells in rows:
        expected = float(subjects)
        for column in cells:
            expected *= chance[column]
        found[case.subject] = min(found.get(case.subject, expected), expected)
    return found
