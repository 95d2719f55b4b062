"""Finds the folders of a study from what the user names: a cohort, a work folder or a study; prepares a cohort."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.cohort.header_file import HEADER
from polytask.errors import PolytaskError
from polytask.plan.files import NAME as PLAN
from polytask.plan.files import read_plan
from polytask.plan.machine import usable_cores
from polytask.study.design import FILE, Design

FOLDS = 5
"""Number of folds of a cohort that is planned here, when no number was given."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """The folders of a study.

    Args:
        folder: folder of the study. work: its work folder.
        cohort: the cohort to plan and prepare, when the user named a cohort.
    """

    folder: Path
    work: Path
    cohort: Path | None = None


def place_of(source: Path | str, out: Path | str | None, name: str = "study") -> Place:
    """Find out what `source` is and return the folders of the study.

    Raises:
        PolytaskError: `source` is neither a cohort, a work folder nor a study.
    """
    source = Path(source)
    if (source / FILE).is_file():
        if out is not None and Path(out).resolve() != source.resolve():
            raise PolytaskError(
                f"{source}: is a study; leave -o out to go on with it, or name its work folder"
            )
        return Place(source, (source / Design.read(source).work).resolve())
    if (source / PLAN).is_file():
        folder = Path(out) if out is not None else source / "studies" / name
        return Place(_named(folder), source)
    if (source / HEADER).is_file():
        if out is None:
            raise PolytaskError(f"{source}: is a cohort: say where the study goes with -o STUDY")
        return Place(_named(Path(out)), Path(out) / "work", source)
    if not source.is_dir():
        raise PolytaskError(f"{source}: no such folder; expected a cohort, a work folder or a study")
    raise PolytaskError(
        f"{source}: neither a cohort ({HEADER}), a work folder ({PLAN}) nor a study ({FILE}); name one of them, or run "
        f"`polytask plan COHORT -o {source}` first"
    )


def _named(folder: Path) -> Path:
    """Return the folder, or refuse one without a name: the names of the runs begin with it."""
    if folder.resolve().name in ("", ".", ".."):
        raise PolytaskError(f"-o {folder}: expected a folder with a name: its runs are called after it")
    return folder


def make_ready(place: Place, folds: int | None, say: Say) -> None:
    """Check, plan and prepare a cohort into the work folder of the study; what already exists is kept.

    Raises:
        PolytaskError: the cohort has errors, or the work folder belongs to another cohort.
    """
    if place.cohort is None:
        return
    from polytask.plan.work import plan_into
    from polytask.prepare.make import prepare

    jobs, work = usable_cores(), place.work
    # Cross-validation needs two folds at least; a study of one fold takes the first of the default number.
    count = folds if folds and folds > 1 else FOLDS
    if (work / PLAN).is_file():
        _refuse_another(place, place.cohort)
    else:
        _check(place.cohort, count, say)
        say(f"plan: {place.cohort} into {work}")
        plan_into(place.cohort, work, folds=count, jobs=jobs)
    done = prepare(work, jobs=jobs, waits=say)
    if done.made:
        say(f"prepare: {done.made} cases into {done.store.folder}, {done.bytes / 1e6:.1f} MB")


def _check(cohort: Path, folds: int, say: Say) -> None:
    from polytask.cohort.check import check

    say(f"check: {cohort}")
    found = check(cohort, folds=folds)
    if errors := [p for p in found if p.level == "error"]:
        place = ", ".join(x for x in (errors[0].file, f"row {errors[0].row}" if errors[0].row else "") if x)
        raise PolytaskError(
            f"{cohort}{f', {place}' if place else ''}: {errors[0].message}; {errors[0].remedy} "
            f"({len(errors)} error{'s' * (len(errors) != 1)} in all: see `polytask check {cohort}`)"
        )
    if found:
        say(f"check: {len(found)} warning{'s' * (len(found) != 1)}, see `polytask check {cohort}`")


def _refuse_another(place: Place, cohort: Path) -> None:
    plan, now = read_plan(place.work), Cohort.read(cohort)
    if plan.digest != now.digest:
        raise PolytaskError(
            f"{place.folder}: holds a study of another cohort, or {cohort} has changed since it was planned (digest "
            f"{plan.digest[:8]}, now {now.digest[:8]}); choose another folder with -o"
        )
