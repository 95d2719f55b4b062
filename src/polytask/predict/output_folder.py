"""The folder that predictions are written to: a new or empty one, one that a killed prediction left, or with
`--overwrite` one that holds an earlier prediction."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polytask.errors import PolytaskError
from polytask.leftovers import UNFINISHED_FILE, sweep_leftovers
from polytask.locks import LockedError, describe_lock_holder, hold_lock, is_lock_held

PREDICTIONS_TABLE, PREDICTIONS_FOLDER = "predictions.csv", "predictions"
PREVALENCE_FILE = "prevalence.json"
"""Says for which prevalence the probabilities of the table were made, where that was asked for."""
ANSWER_FILE_ENDINGS = (".nii.gz", ".png", ".tif", ".npz", ".tmp")
"""Endings of the files in `predictions/TASK/`; the last is that of a file that was being written."""
PREDICTION_LOCK = ".lock"
"""This file exists while a process predicts into the folder, and after that process was killed."""


def check_output_folder(out: Path, overwrite: bool = False) -> None:
    """Refuse a folder that holds anything but a prediction.

    An earlier prediction is accepted if it was killed before its end, or if `overwrite` is set.
    """
    try:
        if out.exists() and not out.is_dir():
            raise PolytaskError(f"{out}: is a file; expected a new folder; choose another one")
        if not out.is_dir() or not any(out.iterdir()):
            return
        foreign = _find_foreign_entry(out)
    except OSError as error:
        raise PolytaskError(f"{out}: cannot write here ({error.strerror}); choose another folder") from None
    if foreign is not None:
        raise PolytaskError(
            f"{out}: holds {foreign.relative_to(out).as_posix()!r}, which is not part of a prediction; expected a new "
            "or empty "
            "folder; choose another one"
        )
    if is_lock_held(out / PREDICTION_LOCK):
        raise LockedError(
            f"{out}: {describe_lock_holder(out / PREDICTION_LOCK)}; wait until it is done, or choose another folder"
        )
    # A lock that nobody holds is left by a killed prediction: what it wrote is incomplete and may be replaced.
    if not (overwrite or (out / PREDICTION_LOCK).exists()):
        raise PolytaskError(
            f"{out}: holds a prediction already; expected a new folder; choose another one, or replace it with "
            "--overwrite"
        )


@contextmanager
def lock_output_folder(out: Path) -> Iterator[None]:
    """Lock the folder against other processes that predict into it, and remove the prediction it holds.

    `check_output_folder` must have accepted the folder before.

    Raises:
        LockedError: another process predicts into it.
    """
    with hold_lock(out / PREDICTION_LOCK, "predicts into this folder"):
        # The table goes first: as long as it exists, it says that the folder is complete.
        for name in (PREDICTIONS_TABLE, PREVALENCE_FILE):
            (out / name).unlink(missing_ok=True)
        if (out / PREDICTIONS_FOLDER).is_dir():
            shutil.rmtree(out / PREDICTIONS_FOLDER)
        sweep_leftovers(out)
        yield


def _find_foreign_entry(out: Path) -> Path | None:
    """Find the first entry that no prediction writes; a link is never one of ours."""
    for entry in sorted(out.iterdir()):
        if not entry.is_symlink() and entry.is_file() and _is_leftover_of_kill(entry.name):
            continue
        # Behind a link may lie a folder of other data, and all that is accepted here may be deleted.
        if (
            entry.is_symlink()
            or entry.name not in (PREDICTIONS_TABLE, PREVALENCE_FILE, PREDICTIONS_FOLDER)
            or entry.is_dir() != (entry.name == PREDICTIONS_FOLDER)
        ):
            return entry
    for task in sorted((out / PREDICTIONS_FOLDER).iterdir()) if (out / PREDICTIONS_FOLDER).is_dir() else []:
        if task.is_symlink() or not task.is_dir():
            return task
        for file in sorted(task.iterdir()):
            if file.is_symlink() or not file.is_file() or not file.name.endswith(ANSWER_FILE_ENDINGS):
                return file
    return None


def _is_leftover_of_kill(name: str) -> bool:
    """Whether a killed prediction may have left a file of this name: a lock, its note, or an unfinished table."""
    return name in (PREDICTION_LOCK, f"{PREDICTION_LOCK}.json", f"{PREDICTION_LOCK}.part") or (
        PREDICTIONS_TABLE in name and bool(UNFINISHED_FILE.fullmatch(name))
    )
