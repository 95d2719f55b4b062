"""Finds the folders of a study from what the user names: a cohort, a work folder or a study; prepares a cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import HEADER_FILE
from polytask.errors import PolytaskError
from polytask.plan.machine import count_usable_cores
from polytask.plan.plan_file import PLAN_FILE as PLAN
from polytask.plan.plan_schema import Plan
from polytask.study.study_design import STUDY_FILE, StudyDesign

DEFAULT_FOLDS = 5
"""Number of folds of a cohort that is planned here, when no number was given."""
SetupMessage = Callable[[str], None]


@dataclass(frozen=True)
class StudyLocation:
    """The folders of a study.

    Args:
        folder: folder of the study. work: its work folder.
        cohort: the cohort to plan and prepare, when the user named a cohort.
    """

    folder: Path
    work: Path
    cohort: Path | None = None


def locate_study(source: Path | str, out: Path | str | None, name: str = "study") -> StudyLocation:
    """Find out what `source` is and return the folders of the study.

    Raises:
        PolytaskError: `source` is neither a cohort, a work folder nor a study.
    """
    source = Path(source)
    if (source / STUDY_FILE).is_file():
        if out is not None and Path(out).resolve() != source.resolve():
            raise PolytaskError(
                f"{source}: is a study; leave -o out to continue it, or name its work folder for another study"
            )
        return StudyLocation(source, (source / StudyDesign.read(source).work).resolve())
    if (source / PLAN).is_file():
        folder = Path(out) if out is not None else source / "studies" / name
        return StudyLocation(_refuse_nameless_folder(folder), source)
    if (source / HEADER_FILE).is_file():
        if out is None:
            raise PolytaskError(f"{source}: is a cohort; say with -o STUDY where the study is written")
        return StudyLocation(_refuse_nameless_folder(Path(out)), Path(out) / "work", source)
    if not source.is_dir():
        raise PolytaskError(f"{source}: no such folder; expected a cohort, a work folder or a study")
    raise PolytaskError(
        f"{source}: neither a cohort ({HEADER_FILE}), a work folder ({PLAN}) nor a study ({STUDY_FILE}); name one of "
        f"them, or run `polytask plan COHORT -o {source}` first"
    )


def _refuse_nameless_folder(folder: Path) -> Path:
    """Return the folder, or refuse one without a name: the names of the runs begin with it."""
    if folder.resolve().name in ("", ".", ".."):
        raise PolytaskError(
            f"-o {folder}: expected a folder with a name, because the runs are named after it"
        )
    return folder


def prepare_workspace(location: StudyLocation, folds: int | None, say: SetupMessage) -> None:
    """Check, plan and prepare a cohort into the work folder of the study; what already exists is kept.

    Raises:
        PolytaskError: the cohort has errors, or the work folder belongs to another cohort.
    """
    if location.cohort is None:
        return
    from polytask.plan.work_folder import plan_into
    from polytask.prepare.store_builder import prepare

    jobs, work = count_usable_cores(), location.work
    # Cross-validation needs two folds at least; a study of one fold takes the first of the default number.
    count = folds if folds and folds > 1 else DEFAULT_FOLDS
    if (work / PLAN).is_file():
        _refuse_other_cohort(location, location.cohort)
    else:
        _check_cohort(location.cohort, count, say)
        say(f"plan: {location.cohort} into {work}")
        plan_into(location.cohort, work, folds=count, jobs=jobs)
    done = prepare(work, jobs=jobs, waits=say)
    if done.made:
        say(f"prepare: {done.made} cases into {done.store.folder}, {done.bytes / 1e6:.1f} MB")


def _check_cohort(cohort: Path, folds: int, say: SetupMessage) -> None:
    from polytask.cohort.check import check_cohort

    say(f"check: {cohort}")
    problems = check_cohort(cohort, folds=folds)
    if errors := [p for p in problems if p.level == "error"]:
        where = ", ".join(x for x in (errors[0].file, f"row {errors[0].row}" if errors[0].row else "") if x)
        raise PolytaskError(
            f"{cohort}{f', {where}' if where else ''}: {errors[0].message}; {errors[0].remedy} "
            f"({len(errors)} error{'s' * (len(errors) != 1)} in all: see `polytask check {cohort}`)"
        )
    if problems:
        say(f"check: {len(problems)} warning{'s' * (len(problems) != 1)}, see `polytask check {cohort}`")


def _refuse_other_cohort(location: StudyLocation, cohort: Path) -> None:
    plan, now = Plan.read(location.work), Cohort.read(cohort)
    if plan.digest != now.digest:
        raise PolytaskError(
            f"{location.folder}: holds a study of another cohort, or {cohort} has changed since it was planned (digest "
            f"{plan.digest[:8]}, now {now.digest[:8]}); choose another folder with -o"
        )
