"""Remove what a killed process left half written. The next command that holds the lock of the folder does this."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

HALF_WRITTEN_PREFIX = ".half-"
"""Beginning of the name of a folder that is still being written."""
UNFINISHED_FILE = re.compile(r".+\.part|\..+\.[0-9a-f]{8}\.tmp")
"""Names of files that are still being written: by `atomic_files`, and by `write_atomically` of images."""
FOREIGN_FOLDERS = {"tensorboard"}
"""Folders inside those of Polytask to which other programs write; they are not changed."""


def sweep_leftovers(folder: Path, deep: bool = False) -> None:
    """Remove half-written files and folders.

    The caller must hold the folder's lock. Without it, another process may still be writing them.

    Args:
        deep: also look in the folders inside.
    """
    for place, folders, files in os.walk(folder):
        for name in [n for n in folders if n.startswith(HALF_WRITTEN_PREFIX)]:
            shutil.rmtree(Path(place) / name, ignore_errors=True)
        for name in [n for n in files if UNFINISHED_FILE.fullmatch(n) or n.startswith(HALF_WRITTEN_PREFIX)]:
            with suppress(OSError):
                (Path(place) / name).unlink()
        # In place: `os.walk` goes on only into the folders that are left in this list.
        folders[:] = (
            [n for n in folders if n not in FOREIGN_FOLDERS and not n.startswith(HALF_WRITTEN_PREFIX)]
            if deep
            else []
        )


def sweep_drafts(folder: Path, names: Iterable[str]) -> None:
    """Remove the half-written versions of these files, in a folder that may also hold other people's files.

    The caller must hold the folder's lock.
    """
    draft = re.compile(rf"\.({'|'.join(map(re.escape, names))})\.[0-9a-f]{{8}}\.(tmp|part)")
    for path in folder.iterdir():
        if draft.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
