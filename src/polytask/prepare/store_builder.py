"""Build the store: prepare every case of the cohort, several at a time. It can be stopped and run again at any time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from polytask.atomic_files import write_text_atomically
from polytask.cohort.cohort import Cohort
from polytask.errors import PolytaskError
from polytask.leftovers import HALF_WRITTEN_PREFIX, sweep_leftovers
from polytask.locks import WaitCallback, hold_lock
from polytask.plan.plan_file import ensure_cohort
from polytask.plan.plan_schema import Plan
from polytask.prepare.bare_case_writer import store_bare_cases
from polytask.prepare.finding_places import ensure_places_beyond_training
from polytask.prepare.large_cases import serialize_large_cases
from polytask.prepare.make_case import CaseResult, NotStoredError, make_case, make_storage_error
from polytask.prepare.mask_runs import MaskForm
from polytask.prepare.recipe import Recipe, digest_plain_data, digest_stored_geometry, make_recipes
from polytask.prepare.store import STORE_VERSION, Store
from polytask.threads import run_in_threads

Progress = Callable[[int, int, str], None]
"""(cases done, cases in all, key of the case just done)."""


@dataclass(frozen=True)
class PreparationResult:
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
    work: Path | str,
    jobs: int = 2,
    progress: Progress | None = None,
    *,
    waits: WaitCallback | None = None,
    masks: MaskForm | None = None,
) -> PreparationResult:
    """Store every case of the plan's cohort in `WORK/store`.

    A case whose files, table cells and geometry have not changed since it was stored is skipped, so the command can be
    interrupted and run again at any time. Cases of the test part are prepared too, because nothing is learned here.

    Args:
        work: the folder that holds `plan.yaml`.
        jobs: cases at a time (threads: decompression and numpy release the lock).
        progress: called after every case.
        waits: when another process prepares this store, wait until it is done; called once with a line that says so.
        masks: how masks are stored; cases that have the other form are made again. None: cases that are there keep
            theirs, new ones are dense.

    Raises:
        LockedError: another process prepares this store, and `waits` is not given.
    """
    work = Path(work)
    plan = Plan.read(work)
    cohort, store = read_plan_cohort(plan, work), Store(work / "store")
    wait = waits is not None
    with hold_lock(find_store_lock(store), "prepares this store", place=store.folder, wait=wait, say=waits):
        return fill_store(store, cohort, plan, jobs, progress, masks)


def find_store_lock(store: Store) -> Path:
    """Return the path of the lock for filling a store. It lies beside the real folder, also when `store` is a link."""
    folder = Path(store.folder).resolve()
    return folder.with_name(f".{folder.name}.lock")


def fill_store(
    store: Store,
    cohort: Cohort,
    plan: Plan,
    jobs: int = 2,
    progress: Progress | None = None,
    masks: MaskForm | None = None,
) -> PreparationResult:
    """Store the cases that are not there yet, then write the index. See `prepare`; the caller must hold the lock."""
    # Unreadable cells are reported before anything is made.
    ensure_places_beyond_training(cohort, plan.shared.images)
    recipes = list(make_recipes(cohort, cohort.cases, plan))
    _prepare_store_folder(store.folder)
    # Without its index the store counts as unfinished: nobody reads it while cases change.
    (store.folder / "store.json").unlink(missing_ok=True)
    made: dict[str, CaseResult] = {}
    total = len(recipes)
    try:
        for key, result in _make_all_cases(recipes, store.folder, jobs, masks):
            made[key] = result
            if progress is not None:
                progress(len(made), total, key)
    except NotStoredError as refused:
        left = total - len(made)
        what = f"the {left} cases left (estimated from one)"
        raise make_storage_error(refused.error, store.folder, refused.needed * left, what) from None
    except MemoryError:
        raise PolytaskError(
            f"{store.folder}: not enough memory for {jobs} cases at a time; run again with --jobs {max(1, jobs // 2)}"
        ) from None
    index = {
        "version": STORE_VERSION,
        "geometry": digest_stored_geometry(cohort.header, plan),
        "cohort": cohort.digest,
        "content": digest_plain_data(sorted((key, made[key][0]) for key in made)),
        "cases": [r.key for r in recipes],
    }
    _write_store_index(store.folder, index)
    return PreparationResult(
        Store(store.folder), total, sum(m[2] for m in made.values()), sum(m[1] for m in made.values())
    )


def read_plan_cohort(plan: Plan, work: Path) -> Cohort:
    """Read the cohort that a plan was made from; refused when its header or table have changed since."""
    folder = Path(plan.cohort)
    folder = folder if folder.is_absolute() else (work / folder).resolve()
    cohort = Cohort.read(folder)
    ensure_cohort(plan, cohort)
    return cohort


def check_store(store: Store, cohort: Cohort, plan: Plan) -> None:
    """Refuse a store that was not made from this cohort with this plan's geometry."""
    index = store.index
    if (
        index.get("geometry") != digest_stored_geometry(cohort.header, plan)
        or index.get("cohort") != cohort.digest
    ):
        raise PolytaskError(
            f"{store.folder}: the store was made with another plan or cohort; run `polytask prepare "
            f"{store.folder.parent}` again (unchanged cases are kept)"
        )


def _make_all_cases(
    recipes: Sequence[Recipe], folder: Path, jobs: int, masks: MaskForm | None
) -> Iterator[tuple[str, CaseResult]]:
    """Store all cases and yield (key, result) as they are done; cases without files come last.

    After the first failure (or Ctrl-C) no further case is begun.
    """
    make = serialize_large_cases(lambda recipe: make_case(recipe, folder, masks))
    for recipe, result in run_in_threads(make, (r for r in recipes if not r.has_no_files), jobs):
        yield recipe.key, result
    yield from store_bare_cases([r for r in recipes if r.has_no_files], folder)


def _prepare_store_folder(folder: Path) -> None:
    """Make the store's folder, check that it can be written, and remove what an interrupted run left half written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f"{HALF_WRITTEN_PREFIX}trial"
        trial.write_bytes(b"")
        trial.unlink()
        sweep_leftovers(folder)
    except OSError as error:
        raise make_storage_error(error, folder, 1000, "its files") from None


def _write_store_index(folder: Path, index: dict[str, object]) -> None:
    """Write `store.json`, whole or not at all: it marks the store as finished."""
    part = folder / f"{HALF_WRITTEN_PREFIX}store.json"
    text = json.dumps(index)
    try:
        write_text_atomically(folder / "store.json", text, part)
    except OSError as error:
        raise make_storage_error(error, folder, len(text), "its files") from None
