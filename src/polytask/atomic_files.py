"""Write files and folders whole or not at all. No other module renames anything.

Each is made under another name in the same place, since a rename is atomic only within one file system, and gets its
name when it is whole. What a killed process leaves is swept by `leftovers.py`, or replaced by the next writing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def write_file_atomically(path: Path, part: Path | None = None) -> Iterator[Path]:
    """Give the block a path to write to. After the block this file gets the name `path`, in the place of an old one.

    When the block raises, the unfinished file goes and `path` stays as it was.

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
    """Make the folder `half` for the block to fill. After the block it gets the name `folder`; an old one goes.

    A crash leaves the old folder, the new one, or none. When the block raises, `half` goes and `folder` stays.

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
    """Remove a folder. A kill in between leaves no half of it under its name, but the rest as `half`."""
    shutil.rmtree(half, ignore_errors=True)
    os.replace(folder, half)
    shutil.rmtree(half)


def replace_folder_atomically(folder: Path, fill: Callable[[Path], None]) -> None:
    """Fill a new folder, then put it in the place of the old one.

    A crash leaves the old folder or the new one, never a half: `find_existing_folder` finds whichever is there.
    """
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    # After a crash the old one may be all there is: it is not removed before the new one is whole.
    restore_folder(folder)
    try:
        new.mkdir(parents=True)
        fill(new)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    # No system renames a folder onto a full one: the old folder steps aside first.
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

    The old folder comes back when the new one never got its name. Then the rest is removed: `NAME.new` is not whole,
    and `NAME.old` is not needed once `NAME` is there.
    """
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    if old.is_dir() and not folder.exists():
        os.replace(old, folder)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)


def move_into_place(draft: Path, target: Path) -> None:
    """Give a finished file or folder its final name, where nothing, a file or an empty folder may stand."""
    os.replace(draft, target)
