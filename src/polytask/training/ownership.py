"""Who may work on a run: one process trains it and one evaluates it.

What killed processes left in its folder is removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from polytask.atomic_files import restore_folder
from polytask.images.file_names import make_file_name
from polytask.leftovers import HALF_WRITTEN_PREFIX, sweep_leftovers
from polytask.locks import LockedError, hold_lock
from polytask.training.folder import Run, has_only_record


def find_training_lock(folder: Path) -> Path:
    """Return the lock of the process that trains a run. It lies beside the folder, which appears only when it is
    complete."""
    return folder.with_name(f".{make_file_name(folder.name)}.lock")


def find_results_lock(folder: Path) -> Path:
    """Return the lock of the process that evaluates a run: its answers and metrics, on whatever part."""
    return folder / ".lock"


@contextmanager
def own_run(folder: Path) -> Iterator[None]:
    """Inside the block, no other process trains the run of this folder, and leftovers are gone. The folder need not
    exist yet.

    Raises:
        LockedError: another process trains it.
    """
    with hold_lock(find_training_lock(folder), "trains this run", place=folder):
        _sweep_new_runs(folder.parent, folder)
        if folder.is_dir() and not has_only_record(folder):
            _restore_checkpoints(folder)
            _sweep_run_folder(folder, find_results_lock(folder))
        yield


@contextmanager
def own_results(folder: Path) -> Iterator[None]:
    """Inside the block, no other process evaluates the run of this folder, and leftovers are gone.

    Raises:
        LockedError: another process evaluates it.
    """
    with hold_lock(find_results_lock(folder), "evaluates this run", place=folder):
        _sweep_run_folder(folder, find_training_lock(folder))
        yield


def _sweep_run_folder(folder: Path, other: Path) -> None:
    """Clean up a run's folder, unless another process holds the `other` lock and is writing there now."""
    with suppress(LockedError), hold_lock(other, "cleans up this run", place=folder, patience=0):
        sweep_leftovers(folder, deep=True)


def _sweep_new_runs(runs: Path, own_folder: Path) -> None:
    """Remove the folders of runs that were killed before they appeared, and locks of processes that were killed."""
    halves = {path.name.removeprefix(HALF_WRITTEN_PREFIX) for path in runs.glob(f"{HALF_WRITTEN_PREFIX}*")}
    locks = {path.name[1:].removesuffix(".lock") for path in runs.glob(".*.lock")}
    for name in sorted(halves | locks):  # file names already, so that each names its lock
        with ExitStack() as stack:
            # The lock of this run is held already: taken again, it would look like that of another process.
            if name != make_file_name(own_folder.name):
                try:
                    stack.enter_context(hold_lock(runs / f".{name}.lock", "cleans it up", patience=0))
                except LockedError:
                    continue
            shutil.rmtree(runs / f"{HALF_WRITTEN_PREFIX}{name}", ignore_errors=True)


def _restore_checkpoints(folder: Path) -> None:
    run = Run.read(folder)
    for network in run.networks:
        restore_folder(run.best(network))
        restore_folder(run.last(network))
