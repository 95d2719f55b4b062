"""Build the store: prepare every case of the cohort, several at a time. It can be stopped and run again at any time."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.leftovers import HALF, sweep_leftovers
from polytask.locks import Say, hold_lock
from polytask.plan.files import ensure_cohort, read_plan
from polytask.plan.plan import Plan
from polytask.prepare.make_bare import store_bare_cases
from polytask.prepare.make_case import Made, NotStoredError, make_case, storage_error
from polytask.prepare.recipe import Recipe, digest_of, geometry_of, recipes_of
from polytask.prepare.store import VERSION, Store
from polytask.prepare.turns import make_in_turns
from polytask.threads import run_in_threads

Progress = Callable[[int, int, str], None]
"""(cases done, cases in all, key of the case just done)."""


@dataclass(frozen=True)
class Prepared:
    """The result of `prepare`: the store, its cases, how many were made now, and the bytes of their arrays."""

    store: Store
    cases: int
    made: int
    bytes: int

    def as_dict(self) -> dict[str, str | int]:
        """Return the result as plain data, for `--json`."""
        return {
            "store": str(self.store.folder),
            "cases": self.cases,
            "made": self.made,
            "skipped": self.cases - self.made,
            "bytes": self.bytes,
            "content": self.store.content,
        }


def prepare(
    work: Path | str, jobs: int = 2, progress: Progress | None = None, *, waits: Say | None = None
) -> Prepared:
    """Store every case of the plan's cohort in `WORK/store`.

    A case whose files, table cells and geometry have not changed since it was stored is skipped, so the command can be
    interrupted and run again at any time. Cases of the test part are prepared too, because nothing is learned here.

    Args:
        work: the folder that holds `plan.yaml`.
        jobs: cases at a time (threads: decompression and numpy release the lock).
        progress: called after every case.
        waits: when another process prepares this store, wait until it is done; called once with a line that says so.

    Raises:
        LockedError: another process prepares this store, and `waits` is not given.
    """
    work = Path(work)
    plan = read_plan(work)
    cohort, store = cohort_of(plan, work), Store(work / "store")
    wait = waits is not None
    with hold_lock(lock_of(store), "prepares this store", place=store.folder, wait=wait, say=waits):
        return fill_store(store, cohort, plan, jobs, progress)


def lock_of(store: Store) -> Path:
    """Return the path of the lock for filling a store. It lies beside the real folder, also when `store` is a link."""
    folder = Path(store.folder).resolve()
    return folder.with_name(f".{folder.name}.lock")


def fill_store(
    store: Store, cohort: Cohort, plan: Plan, jobs: int = 2, progress: Progress | None = None
) -> Prepared:
    """Store the cases that are not there yet, then write the index. See `prepare`; the caller must hold the lock."""
    recipes = list(recipes_of(cohort, cohort.cases, plan))  # odd cells are named before anything is made
    _ready(store.folder)
    # Without its index the store counts as unfinished: nobody reads it while cases change.
    (store.folder / "store.json").unlink(missing_ok=True)
    made: dict[str, Made] = {}
    total = len(recipes)
    try:
        for key, result in _each(recipes, store.folder, jobs):
            made[key] = result
            if progress is not None:
                progress(len(made), total, key)
    except NotStoredError as refused:
        left = total - len(made)
        what = f"the {left} cases left (estimated from one)"
        raise storage_error(refused.error, store.folder, refused.needed * left, what) from None
    except MemoryError:
        raise PolytaskError(
            f"{store.folder}: not enough memory for {jobs} cases at a time; run again with --jobs {max(1, jobs // 2)}"
        ) from None
    index = {
        "version": VERSION,
        "geometry": geometry_of(cohort.header, plan),
        "cohort": cohort.digest,
        "content": digest_of(sorted((key, made[key][0]) for key in made)),
        "cases": [r.key for r in recipes],
    }
    _write_index(store.folder, index)
    return Prepared(
        Store(store.folder), total, sum(m[2] for m in made.values()), sum(m[1] for m in made.values())
    )


def cohort_of(plan: Plan, work: Path) -> Cohort:
    """Read the cohort that a plan was made from; refused when its header or table have changed since."""
    folder = Path(plan.cohort)
    folder = folder if folder.is_absolute() else (work / folder).resolve()
    cohort = Cohort.read(folder)
    ensure_cohort(plan, cohort)
    return cohort


def check_store(store: Store, cohort: Cohort, plan: Plan) -> None:
    """Refuse a store that was not made from this cohort with this plan's geometry."""
    index = store.index
    if index.get("geometry") != geometry_of(cohort.header, plan) or index.get("cohort") != cohort.digest:
        raise PolytaskError(
            f"{store.folder}: the store was made with another plan or cohort; run `polytask prepare "
            f"{store.folder.parent}` again (unchanged cases are kept)"
        )


def _each(recipes: Sequence[Recipe], folder: Path, jobs: int) -> Iterator[tuple[str, Made]]:
    """Store all cases and yield (key, result) as they are done; cases without files come last.

    After the first failure (or Ctrl-C) no further case is begun.
    """
    make = make_in_turns(lambda recipe: make_case(recipe, folder))
    for recipe, result in run_in_threads(make, (r for r in recipes if not r.bare), jobs):
        yield recipe.key, result
    yield from store_bare_cases([r for r in recipes if r.bare], folder)


def _ready(folder: Path) -> None:
    """Make the store's folder, check that it can be written, and remove what an interrupted run left half written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f"{HALF}trial"
        trial.write_bytes(b"")
        trial.unlink()
        sweep_leftovers(folder)
    except OSError as error:
        raise storage_error(error, folder, 1000, "its files") from None


def _write_index(folder: Path, index: dict[str, object]) -> None:
    """Write `store.json`, whole or not at all: it marks the store as finished."""
    part = folder / f"{HALF}store.json"
    text = json.dumps(index)
    try:
        part.write_text(text, encoding="utf-8")
        os.replace(part, folder / "store.json")
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, folder, len(text), "its files") from None
