"""The folder a prediction goes to: new or empty, or an earlier prediction that a person said to replace."""

from __future__ import annotations

import shutil
from pathlib import Path

from polytask.errors import PolytaskError

TABLE, FILES = "predictions.csv", "predictions"
ENDINGS = (".nii.gz", ".png", ".tif", ".npz", ".tmp")
"""Of the files in `predictions/TASK/`; the last is of one that was being written."""


def check_folder(out: Path, overwrite: bool = False) -> None:
    """Refuse a folder that holds anything, unless it is nothing but a prediction and `overwrite` is set."""
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
    if not overwrite:
        raise PolytaskError(
            f"{out}: holds a prediction already; expected a new folder; choose another one, or replace it with "
            "--overwrite"
        )


def clear_folder(out: Path) -> None:
    """Remove the prediction that `check_folder` found; its table first, for it says that the folder is complete."""
    (out / TABLE).unlink(missing_ok=True)
    if (out / FILES).is_dir():
        shutil.rmtree(out / FILES)


def _find_foreign_entry(out: Path) -> Path | None:
    """The first entry that no prediction writes; links are never ours."""
    for entry in sorted(out.iterdir()):
        if entry.is_symlink() or entry.name not in (TABLE, FILES) or entry.is_dir() != (entry.name == FILES):
            return entry
    for task in sorted((out / FILES).iterdir()) if (out / FILES).is_dir() else []:
        if task.is_symlink() or not task.is_dir():
            return task
        for file in sorted(task.iterdir()):
            if file.is_symlink() or not file.is_file() or not file.name.endswith(ENDINGS):
                return file
    return None
