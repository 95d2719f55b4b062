"""Salted digests of the subjects a model was trained on: they can be recognized, but nothing about them can be read."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polytask.cohort.cohort import Cohort
from polytask.cohort.fold_file import read_fold
from polytask.cohort.splits import Fold
from polytask.errors import PolytaskError
from polytask.plan.plan_file import ensure_cohort
from polytask.plan.plan_schema import Plan
from polytask.prepare.case_digests import digest_case, has_images_or_slides
from polytask.prepare.row_chances import compute_row_chances, tells_people_apart
from polytask.prepare.store import Store
from polytask.training.folder import Run
from polytask.training.run import find_run_cohort_folder

PBKDF2_ROUNDS = 2000
"""Rounds of PBKDF2: a digest takes milliseconds, so that guessing rows of a table in bulk is slow."""
DIGEST_BYTES = 16
"""Bytes of the salt, and of a digest."""
TRAINING_DIGESTS_KEY = "seen"
"""The key of the digests in `model.json`."""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class TrainingDigests:
    """Digests of the images (or table rows) that a model was trained on.

    Args:
        salt: hexadecimal; every model has another one.
        trained: digests of the subjects in `train` and `tune` of any member.
        held_out: digests of subjects that no member was trained on.
        subjects: the number of subjects behind `trained`.
        by: what the digests are of: `images` or `cells`.
    """

    salt: str
    trained: frozenset[str]
    held_out: frozenset[str]
    subjects: int
    by: str

    def salt_digest(self, digest: str) -> str:
        """Hash a digest with the salt of this model, as `trained` and `held_out` hold it."""
        return hash_with_salt(digest, self.salt)

    def as_dict(self) -> dict[str, Any]:
        """Return the content for `model.json`; sorted, so that the order tells nothing about subjects."""
        return {
            "by": self.by,
            "salt": self.salt,
            "rounds": PBKDF2_ROUNDS,
            "subjects": self.subjects,
            "trained": sorted(self.trained),
            "held_out": sorted(self.held_out),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TrainingDigests:
        """Parse the content that `as_dict` wrote to `model.json`.

        Raises:
            ValueError, KeyError, TypeError: it is of another form.
        """
        if content["rounds"] != PBKDF2_ROUNDS or content["by"] not in ("images", "cells"):
            raise ValueError("digests of another form")
        bytes.fromhex(content["salt"])
        trained, held_out = (frozenset(map(str, content[k])) for k in ("trained", "held_out"))
        return cls(str(content["salt"]), trained, held_out, int(content["subjects"]), str(content["by"]))


def hash_with_salt(digest: str, salt: str) -> str:
    """Hash a digest with a salt. This cannot be undone, and only hashes of the same salt can be compared."""
    return hashlib.pbkdf2_hmac(
        "sha256", digest.encode(), bytes.fromhex(salt), PBKDF2_ROUNDS, DIGEST_BYTES
    ).hex()


def collect_training_digests(runs: Sequence[Run], progress: Progress | None = None) -> TrainingDigests:
    """Collect digests of all that these runs were trained on, from the store where `prepare` left them, else from the
    files of the cohort.

    Raises:
        PolytaskError: store and cohort are gone, or are not as they were in training.
    """
    trained: set[str] = set()
    held_out: set[str] = set()
    subjects: set[str] = set()
    by = "images"
    for run in runs:
        fold = read_run_fold(run)
        learned = (*fold.train, *fold.tune)
        subjects |= set(learned)
        digests, by = _digest_subjects(run, {*learned, *fold.held_out}, progress)
        trained |= {d for s in learned for d in digests.get(s, ())}
        held_out |= {d for s in fold.held_out for d in digests.get(s, ())}
    salt = secrets.token_hex(DIGEST_BYTES)
    salted = {d: hash_with_salt(d, salt) for d in trained | held_out}
    return TrainingDigests(
        salt,
        frozenset(salted[d] for d in trained),
        # What one member held out, another of the ensemble may have been trained on: training counts.
        frozenset(salted[d] for d in held_out - trained),
        len(subjects),
        by,
    )


def read_run_fold(run: Run) -> Fold:
    """Read the fold of a run: its train, tune and held-out subjects."""
    return read_fold(run.work / "splits.json", int(run.record["fold"]))


def _digest_subjects(
    run: Run, subjects: Iterable[str], progress: Progress | None
) -> tuple[dict[str, set[str]], str]:
    """Digest all cases of some subjects; return (subject → digests, `images` or `cells`)."""
    wanted = set(subjects)
    stored = _read_stored_digests(run, wanted)
    if stored is not None:
        return stored, "images"
    plan = Plan.read(run.folder)
    cohort = Cohort.read(find_run_cohort_folder(run, plan))
    ensure_cohort(plan, cohort)
    cases = [c for c in cohort.cases if c.subject in wanted]
    # Rows of a few coarse values identify nobody, and could be guessed from their digests.
    if not has_images_or_slides(cohort.header):
        chances = compute_row_chances(cohort, cases)
        cases = [c for c in cases if tells_people_apart(chances[c.key], len(wanted), len(wanted))]
    digests: dict[str, set[str]] = {}
    for k, case in enumerate(cases):
        if progress:
            progress(k, len(cases), f"read training images, {case.subject}")
        digests.setdefault(case.subject, set()).update(digest_case(cohort, case).values())
    return digests, "images" if has_images_or_slides(cohort.header) else "cells"


def _read_stored_digests(run: Run, subjects: set[str]) -> dict[str, set[str]] | None:
    """Read the digests from the store that the run was trained on.

    None where the store has changed, was made by a version that kept no digests, or holds no images.
    """
    store = Store(run.work / "store")
    try:
        if store.content != run.record["store"]:
            return None
        digests: dict[str, set[str]] = {}
        for key in store.index["cases"]:
            meta = store.case(str(key)).meta
            if (subject := str(meta["subject"])) in subjects:
                digests.setdefault(subject, set()).update(meta["content"].values())
    except (PolytaskError, KeyError, TypeError, AttributeError):
        return None
    return digests if any(digests.values()) else None
