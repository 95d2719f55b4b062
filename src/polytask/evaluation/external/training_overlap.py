"""Finds subjects of another cohort that a model was trained on, by the content of their images or table cells."""

from __future__ import annotations

from dataclasses import dataclass

from polytask.cohort.cohort import Cohort
from polytask.predict.training_digests import Progress, TrainingDigests
from polytask.prepare.case_digests import digest_case
from polytask.prepare.row_chances import compute_row_chances, tells_people_apart


@dataclass(frozen=True)
class TrainingOverlap:
    """Subjects of another cohort, by whether they were in the training of a model.

    Args:
        trained: subjects with an image (or row of cells) of the training part.
        held_out: subjects with an image (or row of cells) of the held-out part.
        ambiguous_subjects: subjects with the same few cells as somebody in the training, which may be chance.
        unchecked: subjects without anything to recognize them by.
    """

    trained: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    ambiguous_subjects: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


def find_training_overlap(
    cohort: Cohort, seen: TrainingDigests, progress: Progress | None = None
) -> TrainingOverlap:
    """Compare every subject of a cohort (read through the model's header) with what was in training. Opens all
    images."""
    digests: dict[str, set[str]] = {}
    for k, case in enumerate(cohort.cases):
        if progress:
            progress(k, len(cohort.cases), f"seen in training? {case.subject}")
        case_digests = digest_case(cohort, case).values()
        digests.setdefault(case.subject, set()).update(seen.salt_digest(d) for d in case_digests)
    trained = [s for s, own_digests in digests.items() if own_digests & seen.trained]
    held_out = [s for s, own_digests in digests.items() if own_digests & seen.held_out and s not in trained]
    unchecked = [s for s, own_digests in digests.items() if not own_digests]
    alike: list[str] = []
    # Two strangers may have equal cells when the columns are coarse: such a match is reported, but nobody is left out
    # because of it.
    if seen.by == "cells":
        chances = compute_row_chances(cohort, cohort.cases)
        apart = {
            case.subject
            for case in cohort.cases
            if tells_people_apart(chances[case.key], seen.subjects, len(cohort.subjects))
        }
        alike = [s for s in trained if s not in apart]
        trained, held_out = ([s for s in subjects if s in apart] for subjects in (trained, held_out))
    return TrainingOverlap(tuple(trained), tuple(held_out), tuple(alike), tuple(unchecked))
