"""Who of another cohort was in the training, where images are not there to tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from polytask.cohort.cohort import Cohort
from polytask.evaluation.external.training_overlap import find_training_overlap
from polytask.predict.training_digests import TrainingDigests, hash_with_salt
from polytask.prepare.case_digests import digest_case
from tests.prepare.test_case_digests import table_cohort

SALT = "00" * 16


def seen_of(cohort: Cohort, trained: str, held_out: str, subjects: int) -> TrainingDigests:
    digests = {
        c.subject: {hash_with_salt(d, SALT) for d in digest_case(cohort, c).values()} for c in cohort.cases
    }

    def of(names: str) -> frozenset[str]:
        return frozenset(d for s in names for d in digests[s])

    return TrainingDigests(SALT, of(trained), of(held_out), subjects, "cells")


def test_telling_rows_are_recognized_and_rows_without_cells_are_not_checked(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [f"{s},{','.join(f'{v:.4f}' for v in random.normal(size=5))},f,yes" for s in "abcdefgh"]
    home = table_cohort(tmp_path / "home", rows)
    away = table_cohort(tmp_path / "away", [*[r.replace(r[0], r[0].upper(), 1) for r in rows], "Z,,,,,,,no"])
    found = find_training_overlap(away, seen_of(home, "ab", "c", 50))
    assert (found.trained, found.held_out, found.ambiguous_subjects, found.unchecked) == (
        ("A", "B"),
        ("C",),
        (),
        ("Z",),
    )


def test_a_row_that_strangers_share_leaves_nobody_out(tmp_path: Path) -> None:
    rows = [f"{s},{60 + k // 2},1,0,1,0,f,yes" for k, s in enumerate("abcdefgh")]
    cohort = table_cohort(tmp_path / "c", rows)
    found = find_training_overlap(cohort, seen_of(cohort, "ac", "e", 50))
    assert (found.trained, found.held_out) == ((), ())
    assert found.ambiguous_subjects == ("a", "b", "c", "d"), (
        "as old as somebody in the training, and nothing else is known"
    )
