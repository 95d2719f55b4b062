"""Plans a cohort into a work folder: writes splits, fingerprint and plan, each file completely or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from polytask.cohort.cohort import Cohort
from polytask.cohort.nnunet_splits import read_nnunet
from polytask.cohort.splits import Splits, make_splits, require_complete
from polytask.documents.json_reader import read_json
from polytask.documents.text import read_text
from polytask.errors import PolytaskError
from polytask.leftovers import HALF, sweep_leftovers
from polytask.locks import hold_lock
from polytask.plan.files import NAME, draft_plan, plan_text
from polytask.plan.fingerprint import Progress, fingerprint
from polytask.plan.machine import Machine, this_machine
from polytask.plan.make import make_plan
from polytask.plan.plan import Plan
from polytask.plan.records import Fingerprint
from polytask.plan.settings import set_values

OLD = f"{NAME}.old"
LOCK = ".lock"
"""Lock file in the work folder: only one process at a time plans there."""


@dataclass(frozen=True)
class Planned:
    """The result of `plan_into`. `kept_old` says that an earlier, different plan was saved as `plan.yaml.old`."""

    plan: Plan
    splits: Splits
    work: Path
    kept_old: bool


def plan_into(
    folder: Path | str,
    work: Path | str,
    folds: int = 5,
    by: Literal["subject", "site"] = "subject",
    splits: Path | str | None = None,
    seed: int = 0,
    machine: Machine | None = None,
    memory: float | None = None,
    settings: Sequence[str] = (),
    jobs: int = 2,
    progress: Progress | None = None,
) -> Planned:
    """Write `fingerprint.json`, `splits.json` and `plan.yaml` into a work folder.

    Args:
        folder: folder of the cohort.
        work: the work folder; it is made when it does not exist. A fingerprint in it is used for unchanged files.
        folds: number of folds; with `by="site"` every site is one fold instead.
        by: whether folds are made of subjects or of whole sites.
        splits: file with the folds to use: our `splits.json` or nnU-Net's `splits_final.json`.
        seed: seed of the splits.
        machine: the machine to plan for; None measures this one.
        memory: GB of memory to plan for, instead of what the machine has.
        settings: values set by hand, e.g. `training.epochs=4`.
        jobs: number of threads that read images.
        progress: called after every measured case.
    """
    work = Path(work)
    cohort = Cohort.read(folder)
    divided = _splits(cohort, folds, by, splits, seed)
    _ready(work)
    with hold_lock(work / LOCK, "plans here"):
        sweep_leftovers(work)
        # On an interrupt the cases measured so far are written, so that the next call goes on from there.
        found = fingerprint(cohort, jobs, progress, Fingerprint.find(work), lambda part: part.write(work))
        found.write(work)
        plan = make_plan(cohort, found, divided, seed, machine or this_machine(memory))
        if settings:
            plan = set_values(plan, settings)
        kept = _place(plan, divided, work)
    return Planned(plan, divided, work, kept)


def _splits(
    cohort: Cohort, folds: int, by: Literal["subject", "site"], given: Path | str | None, seed: int
) -> Splits:
    if given is None:
        return make_splits(cohort, folds, seed, by)
    if isinstance(read_json(Path(given)), list):
        return read_nnunet(given, cohort, seed)
    found = Splits.read(given)
    allowed = set(cohort.in_split("train"))
    for number, fold in enumerate(found.folds):
        odd = [s for s in (*fold.train, *fold.tune, *fold.held_out) if s not in allowed]
        if odd:
            what = "is a test subject" if odd[0] in cohort.subjects else "is not in the cohort"
            raise PolytaskError(
                f"{given}: fold {number}: subject {odd[0]} {what}; remove it or make other splits"
            )
    require_complete(cohort, found)
    return found


def _ready(work: Path) -> None:
    """Make the work folder if needed, and refuse one that cannot be written."""
    # Tried before the long measuring, and with a real file: permission bits do not show e.g. a read-only file system.
    try:
        work.mkdir(parents=True, exist_ok=True)
        trial = work / ".trial"
        trial.write_bytes(b"")
        trial.unlink()
    except OSError as error:
        raise PolytaskError(
            f"{work}: cannot be written ({error.strerror}); expected a folder for the plan; choose another with -o"
        ) from None


def _place(plan: Plan, divided: Splits, work: Path) -> bool:
    """Write plan and splits together; return whether an earlier plan was saved.

    A full disk leaves both earlier files or none. A kill may leave no plan, but never a plan with the splits of another
    one; every later step asks for the plan first, so it notices.
    """
    fresh = work / f"{HALF}splits.json"
    try:
        divided.write(fresh)
        kept = _keep_old(plan, work)
        draft = draft_plan(plan, work)
        # The old plan goes before the new splits come: a kill in between must not pair the two.
        (work / NAME).unlink(missing_ok=True)
        os.replace(fresh, work / "splits.json")
        os.replace(draft, work / NAME)
    finally:
        fresh.unlink(missing_ok=True)
    return kept


def _keep_old(plan: Plan, work: Path) -> bool:
    """Save an earlier, different plan as `plan.yaml.old`, since a person may have edited it; return whether it did."""
    path = work / NAME
    try:
        same = not path.exists() or read_text(path, "a plan") == plan_text(plan, work)
    except PolytaskError:
        same = False
    if same:
        return False
    shutil.copyfile(path, work / OLD)
    return True
