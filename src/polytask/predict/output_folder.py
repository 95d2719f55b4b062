"""The folder a prediction goes to: new or empty, one that a killed prediction left, or an earlier prediction that a
person said to replace."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.leftovers import UNFINISHED, sweep_leftovers
from polytask.locks import LockedError, describe_holder, hold_lock, is_held

TABLE, FILES = "predictions.csv", "predictions"
ENDINGS = (".nii.gz", ".png", ".tif", ".npz", ".tmp")
"""Of the files in `predictions/TASK/`; the last is of one that was being written."""
LOCK = ".lock"
"""There while somebody predicts into the folder, and after that was killed."""


def check_folder(out: Path, overwrite: bool = False) -> None:
    """Refuse a folder that holds anything, unless it is nothing but a prediction, and either that was killed before its
    end or `overwrite` is set."""
    try:
        if out.exists() and not out.is_dir():
            raise PolytaskError(f"{out}: is a file; expected a new folder; choose another one")
        if not out.is_dir() or not any(out.iterdir()):
            return
        odd = _find_foreign_entry(out)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    if odd is not None:
        raise PolytaskError(
            f"{out}: holds {odd.relative_to(out).as_posix()!r}, which is not of a prediction; expected a new or empty "
            "folder; choose another one"
        )
    if is_held(out / LOCK):
        raise LockedError(
            f"{out}: {describe_holder(out / LOCK)}; wait until it is done, or choose another folder"
        )
    if not (overwrite or (out / LOCK).exists()):
        raise PolytaskError(
            f"{out}: holds a prediction already; expected a new folder; choose another one, or replace it with "
            "--overwrite"
        )


@contextmanager
def own_folder(out: Path) -> Iterator[None]:
    """Inside, no other process predicts into the folder, from which the prediction that `check_folder` found is
    removed; its table first, for it says that the folder is complete.

    Raises:
        LockedError: another process predicts into it.
    """
    with hold_lock(out / LOCK, "predicts into this folder"):
        (out / TABLE).unlink(missing_ok=True)
        if (out / FILES).is_dir():
            shutil.rmtree(out / FILES)
        sweep_leftovers(out)
        yield


def _find_foreign_entry(out: Path) -> Path | None:
    """The first entry that no prediction writes; links are never ours."""
    for entry in sorted(out.iterdir()):
        if not entry.is_symlink() and entry.is_file() and _is_left_by_a_kill(entry.name):
            continue
        if entry.is_symlink() or entry.name not in (TABLE, FILES) or entry.is_dir() != (entry.name == FILES):
            return entry
    for task in sorted((out / FILES).iterdir()) if (out / FILES).is_dir() else []:
        if task.is_symlink() or not task.is_dir():
            return task
        for file in sorted(task.iterdir()):
            if file.is_symlink() or not file.is_file() or not file.name.endswith(ENDINGS):
                return file
    return None


def _is_left_by_a_kill(name: str) -> bool:
    """Whether a file that is no answer is a lock, its note, or the table that was being written."""
    return name in (LOCK, f"{LOCK}.json", f"{LOCK}.part") or (
        TABLE in name and bool(UNFINISHED.fullmatch(name))
    )
