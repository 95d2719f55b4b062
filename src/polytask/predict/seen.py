"""Whom a model has seen in training, as salted digests: enough to recognize them, nothing to learn about them."""

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
from polytask.plan.files import ensure_cohort, read_plan
from polytask.prepare.coincidence import chances_of_same_row, tells_people_apart
from polytask.prepare.content import digest_case, shows_people
from polytask.prepare.store import Store
from polytask.training.folder import Run
from polytask.training.run import cohort_folder_of

ROUNDS = 2000
"""Of PBKDF2: a few milliseconds a digest, so that guessing rows of a table in bulk is slow."""
LENGTH = 16
KEY = "seen"
"""Where it stands in `model.json`."""
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Seen:
    """Digests of what was in training.

    Args:
        salt: hex; another one for every model.
        trained: of the subjects of `train` and `tune`, of any member.
        held_out: of subjects that no member was trained on.
        subjects: how many subjects `trained` stands for.
        by: `images` or `cells`.
    """

    salt: str
    trained: frozenset[str]
    held_out: frozenset[str]
    subjects: int
    by: str

    def blurred(self, digest: str) -> str:
        """A digest as this model keeps it."""
        return blur(digest, self.salt)

    def as_dict(self) -> dict[str, Any]:
        """For `model.json`; sorted, so that the order says nothing."""
        return {
            "by": self.by,
            "salt": self.salt,
            "rounds": ROUNDS,
            "subjects": self.subjects,
            "trained": sorted(self.trained),
            "held_out": sorted(self.held_out),
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Seen:
        """Back from `as_dict`.

        Raises:
            ValueError, KeyError, TypeError: when it is not what `as_dict` gave.
        """
        if found["rounds"] != ROUNDS or found["by"] not in ("images", "cells"):
            raise ValueError("digests of another form")
        bytes.fromhex(found["salt"])
        trained, held_out = (frozenset(map(str, found[k])) for k in ("trained", "held_out"))
        return cls(str(found["salt"]), trained, held_out, int(found["subjects"]), str(found["by"]))


def blur(digest: str, salt: str) -> str:
    """One way, and only comparable under the same salt."""
    return hashlib.pbkdf2_hmac("sha256", digest.encode(), bytes.fromhex(salt), ROUNDS, LENGTH).hex()


def find_seen(runs: Sequence[Run], progress: Progress | None = None) -> Seen:
    """Digests of all that these runs were trained on, from the store where `prepare` left them, else from the cohort's
    files.

    Raises:
        PolytaskError: neither is there any more as it was.
    """
    trained: set[str] = set()
    held_out: set[str] = set()
    subjects: set[str] = set()
    by = "images"
    for run in runs:
        fold = fold_of(run)
        learned = (*fold.train, *fold.tune)
        subjects |= set(learned)
        digests, by = _digests(run, {*learned, *fold.held_out}, progress)
        trained |= {d for s in learned for d in digests.get(s, ())}
        held_out |= {d for s in fold.held_out for d in digests.get(s, ())}
    salt = secrets.token_hex(LENGTH)
    blurred = {d: blur(d, salt) for d in trained | held_out}
    return Seen(
        salt,
        frozenset(blurred[d] for d in trained),
        frozenset(blurred[d] for d in held_out - trained),
        len(subjects),
        by,
    )


def fold_of(run: Run) -> Fold:
    """Whom a run learned from and was held against."""
    return read_fold(run.work / "splits.json", int(run.record["fold"]))


def _digests(run: Run, subjects: Iterable[str], progress: Progress | None) -> tuple[dict[str, set[str]], str]:
    """Subject → digests of all its cases; and what they are of."""
    wanted = set(subjects)
    stored = _stored(run, wanted)
    if stored is not None:
        return stored, "images"
    plan = read_plan(run.folder)
    cohort = Cohort.read(cohort_folder_of(run, plan))
    ensure_cohort(plan, cohort)
    cases = [c for c in cohort.cases if c.subject in wanted]
    if not shows_people(cohort.header):  # coarse rows tell nobody, and could be guessed from their digests
        chances = chances_of_same_row(cohort, cases)
        cases = [c for c in cases if tells_people_apart(chances[c.key], len(wanted), len(wanted))]
    found: dict[str, set[str]] = {}
    for k, case in enumerate(cases):
        if progress:
            progress(k, len(cases), f"images of the training, {case.subject}")
        found.setdefault(case.subject, set()).update(digest_case(cohort, case).values())
    return found, "images" if shows_people(cohort.header) else "cells"


def _stored(run: Run, subjects: set[str]) -> dict[str, set[str]] | None:
    """From the store the run was trained on; None where that has changed, or is of a time before digests, or there
    are no images."""
    store = Store(run.work / "store")
    try:
        if store.content != run.record["store"]:
            return None
        found: dict[str, set[str]] = {}
        for key in store.index["cases"]:
            meta = store.case(str(key)).meta
            if (subject := str(meta["subject"])) in subjects:
                found.setdefault(subject, set()).update(meta["content"].values())
    except (PolytaskError, KeyError, TypeError, AttributeError):
        return None
    return found if any(found.values()) else None
