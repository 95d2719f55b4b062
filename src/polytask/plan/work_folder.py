"""Plans a cohort into a work folder: writes splits, fingerprint and plan, each file completely or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from polytask.atomic_files import write_file_atomically
from polytask.cohort.cohort import Cohort
from polytask.cohort.nnunet_splits import read_nnunet_splits
from polytask.cohort.splits import Splits, make_splits, require_complete_folds
from polytask.cohort.subject_strata import read_subject_strata
from polytask.documents.json_reader import read_json
from polytask.documents.text_reader import read_text
from polytask.errors import PolytaskError
from polytask.leftovers import HALF_WRITTEN_PREFIX, sweep_leftovers
from polytask.locks import hold_lock
from polytask.plan.fingerprint import Progress, make_fingerprint
from polytask.plan.fingerprint_records import Fingerprint
from polytask.plan.machine import Machine, check_memory, replace_memory
from polytask.plan.machine_file import find_work_machine, note_planned_machine, read_machine
from polytask.plan.plan_file import PLAN_FILE, hold_back_plan, render_plan
from polytask.plan.plan_schema import Plan
from polytask.plan.planner import make_plan

OLD_PLAN_FILE = f"{PLAN_FILE}.old"
PLAN_LOCK_FILE = ".lock"
"""Lock file in the work folder: only one process at a time plans there."""


@dataclass(frozen=True)
class PlanningResult:
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
    machine: Machine | Path | None = None,
    memory: float | None = None,
    settings: Sequence[str] = (),
    jobs: int = 2,
    progress: Progress | None = None,
) -> PlanningResult:
    """Write `fingerprint.json`, `splits.json`, `machine.json` and `plan.yaml` into a work folder.

    Args:
        folder: folder of the cohort.
        work: the work folder; it is made when it does not exist. A fingerprint in it is used for unchanged files.
        folds: number of folds; with `by="site"` every site is one fold instead.
        by: whether folds are made of subjects or of whole sites.
        splits: file with the folds to use: our `splits.json` or nnU-Net's `splits_final.json`.
        seed: seed of the splits.
        machine: the machine to plan for, or its `machine.json`; None takes this one, which is measured once for a work
            folder.
        memory: GB of memory to plan for, instead of what the machine has.
        settings: values set by hand, e.g. `training.epochs=4`.
        jobs: number of threads that read images.
        progress: called after every measured case.
    """
    work = Path(work)
    cohort = Cohort.read(folder)
    divided = _choose_splits(cohort, folds, by, splits, seed)
    # Nonsense is refused before the long measuring. Strata are read by evaluations only, which come days later.
    check_memory(memory)
    read_subject_strata(cohort)
    chosen = read_machine(machine) if isinstance(machine, Path) else machine
    _ensure_writable_work(work)
    with hold_lock(work / PLAN_LOCK_FILE, "plans here"):
        sweep_leftovers(work)
        # On an interrupt the cases measured so far are written, so that the next call goes on from there.
        fingerprint = make_fingerprint(
            cohort, jobs, progress, Fingerprint.find(work), lambda part: part.write(work)
        )
        fingerprint.write(work)
        planned_for = replace_memory(chosen or find_work_machine(work), memory)
        plan = make_plan(cohort, fingerprint, divided, seed, planned_for, settings)
        note_planned_machine(planned_for, work)
        kept_old = _write_plan_and_splits(plan, divided, work)
    return PlanningResult(plan, divided, work, kept_old)


def _choose_splits(
    cohort: Cohort, folds: int, by: Literal["subject", "site"], splits_file: Path | str | None, seed: int
) -> Splits:
    if splits_file is None:
        return make_splits(cohort, folds, seed, by)
    if isinstance(read_json(Path(splits_file)), list):
        return read_nnunet_splits(splits_file, cohort, seed)
    chosen = Splits.read(splits_file)
    allowed = set(cohort.list_split_subjects("train"))
    for number, fold in enumerate(chosen.folds):
        odd = [s for s in (*fold.train, *fold.tune, *fold.held_out) if s not in allowed]
        if odd:
            what = "is a test subject" if odd[0] in cohort.subjects else "is not in the cohort"
            raise PolytaskError(
                f"{splits_file}: fold {number}: subject {odd[0]} {what}; remove it or use other splits"
            )
    require_complete_folds(cohort, chosen)
    return chosen


def _ensure_writable_work(work: Path) -> None:
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


def _write_plan_and_splits(plan: Plan, divided: Splits, work: Path) -> bool:
    """Write plan and splits together; return whether an earlier plan was saved.

    A full disk leaves both earlier files or none. A kill may leave no plan, but never a plan with the splits of another
    one; every later step asks for the plan first, so it notices.
    """
    fresh = work / f"{HALF_WRITTEN_PREFIX}splits.json"
    with hold_back_plan(plan, work), write_file_atomically(work / "splits.json", fresh):
        divided.write(fresh)
        kept_old = _keep_old_plan(plan, work)
        # The old plan goes before the new splits come: a kill in between must not pair the two.
        (work / PLAN_FILE).unlink(missing_ok=True)
    return kept_old


def _keep_old_plan(plan: Plan, work: Path) -> bool:
    """Save an earlier, different plan as `plan.yaml.old`, since a person may have edited it; return whether it did."""
    path = work / PLAN_FILE
    try:
        same = not path.exists() or read_text(path, "a plan") == render_plan(plan, work)
    except PolytaskError:
        same = False
    if same:
        return False
    shutil.copyfile(path, work / OLD_PLAN_FILE)
    return True
