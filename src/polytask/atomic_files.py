"""Write files and folders whole or not at all. No other module renames anything.

Each is written under another name in the same place, and gets its own name by a rename when it is whole. (A rename is
atomic only within one file system.) What a killed process leaves is removed by `leftovers.py`, or replaced when it is
written again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def write_file_atomically(path: Path, part: Path | None = None) -> Iterator[Path]:
    """Give the block a path to write to. After the block this file gets the name `path`; an old file is replaced.

    When the block raises, the unfinished file is removed and `path` stays as it was.

    Args:
        part: the name until then, in the same folder; `.NAME.part` by default.
    """
    part = part or path.with_name(f".{path.name}.part")
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        # On a broken disk the removal fails too; the first error says more.
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text_atomically(path: Path, text: str, part: Path | None = None, *, durable: bool = False) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Args:
        part: its name until it is whole, as in `write_file_atomically`.
        durable: flush it to the disk before it gets its name, so that it is whole even after a power failure.
    """
    with write_file_atomically(path, part) as half, half.open("w", encoding="utf-8") as stream:
        stream.write(text)
        if durable:
            stream.flush()
            os.fsync(stream.fileno())


@contextmanager
def create_folder_atomically(folder: Path, half: Path) -> Iterator[None]:
    """Make the folder `half` for the block to fill. After the block it gets the name `folder`; an old one is removed.

    A crash leaves the old folder, the new one, or none. When the block raises, `half` is removed and `folder` stays.

    Args:
        half: a path in the same place; what a killed process left there is removed first.
    """
    shutil.rmtree(half, ignore_errors=True)
    try:
        half.mkdir(parents=True)
        yield
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(half, folder)
    except (Exception, KeyboardInterrupt, SystemExit):
        shutil.rmtree(half, ignore_errors=True)
        raise


def remove_folder_atomically(folder: Path, half: Path) -> None:
    """Remove a folder. What a kill in between leaves has the name `half`, never that of the folder."""
    shutil.rmtree(half, ignore_errors=True)
    os.replace(folder, half)
    shutil.rmtree(half)


def replace_folder_atomically(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder, then put it in the place of the old one.

    A crash leaves the old folder or the new one, never half of one; `find_existing_folder` finds the one that exists.
    """
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    # After a crash only the old folder may exist, so it is kept until the new one is whole.
    restore_folder(folder)
    try:
        new.mkdir(parents=True)
        fill(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    # No system renames a folder onto one with content, so the old folder is renamed first.
    if folder.exists():
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def find_existing_folder(folder: Path) -> Path | None:
    """Return the folder, or the old one if a crash came between the renames of `replace_folder_atomically`."""
    old = folder.with_name(folder.name + ".old")
    if folder.exists():
        return folder
    return old if old.exists() else None


def restore_folder(folder: Path) -> None:
    """Finish a replacement of a folder that was killed between the two renames of `replace_folder_atomically`.

    If the new folder never got its name, the old one gets its name back. Then the rest is removed: `NAME.new` is not
    whole, and `NAME.old` is not needed once `NAME` exists.
    """
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    if old.is_dir() and not folder.exists():
        os.replace(old, folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def move_into_place(draft: Path, target: Path) -> None:
    """Give a finished file or folder its final name; a file or an empty folder of that name is replaced."""
    os.replace(draft, target)
