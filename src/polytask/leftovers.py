"""What a killed process leaves half written, and its removal by the next command that has the folder to itself."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

HALF = ".half-"
"""Start of the name of a folder that is still being written."""
UNFINISHED = re.compile(r".+\.part|\..+\.[0-9a-f]{8}\.tmp")
"""Names of files that are still being written: `plain.write_json` and its kind, and `images.files.atomic`."""
FOREIGN = {"tensorboard"}
"""Folders inside ours in which others write."""


def restore_folder(folder: Path) -> None:
    """Bring a folder back that was killed between the two renames of `training.files.replace_folder`, and remove what
    the replacement left: `NAME.new` is not whole, `NAME.old` is no longer needed once `NAME` is there."""
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    if old.is_dir() and not folder.exists():
        old.rename(folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def sweep_leftovers(folder: Path, deep: bool = False) -> None:
    """Remove files and folders that are still half written. Only who holds the folder's lock may ask for it.

    Args:
        deep: in the folders inside it too.
    """
    for place, folders, files in os.walk(folder):
        for name in [n for n in folders if n.startswith(HALF)]:
            shutil.rmtree(Path(place) / name, ignore_errors=True)
        for name in [n for n in files if UNFINISHED.fullmatch(n) or n.startswith(HALF)]:
            with suppress(OSError):
                (Path(place) / name).unlink()
        folders[:] = [n for n in folders if n not in FOREIGN and not n.startswith(HALF)] if deep else []


def sweep_drafts(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed process had written of these files, in a folder where other people's files may lie.

    Only who holds the folder's lock may ask for it.
    """
    draft = re.compile(rf"\.({'|'.join(map(re.escape, names))})\.[0-9a-f]{{8}}\.(tmp|part)")
    for path in folder.iterdir():
        if draft.fullmatch(path.name):
            with suppress(OSError):
                path.unlink()
