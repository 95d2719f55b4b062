"""One process at a time: a file that the system unlocks when its process ends, however it ends.

Several commands, also on several machines with one file system, may therefore work on one study at once.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from polytask.documents.json_reader import find_json_object

TRIES = 20
PAUSE = 0.05
"""Somebody who only looks holds a lock for a moment; seconds between tries."""


class Held:
    """A lock that is held; its file tells others how far the work is."""

    def __init__(self, number: int, path: Path):
        self._number, self.path = number, path

    def tell(self, content: Mapping[str, Any]) -> None:
        """Replace the file's content."""
        text = json.dumps(content).encode()
        os.ftruncate(self._number, 0)
        os.pwrite(self._number, text, 0)


@contextmanager
def hold(path: Path, wait: bool = False) -> Iterator[Held | None]:
    """Inside, nobody else holds `path`; None when somebody else does (and `wait` is off)."""
    number = _opened(path, wait)
    if number is None:
        yield None
        return
    try:
        yield Held(number, path)
    finally:
        path.unlink(missing_ok=True)
        os.close(number)


def held(path: Path) -> bool:
    """Whether a process works on it now."""
    try:
        number = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _locked(number, False, shared=True)
    finally:
        os.close(number)


def told(path: Path) -> dict[str, Any]:
    """What the holder said last; {} when it is just writing or gone."""
    return find_json_object(path)


def _opened(path: Path, wait: bool) -> int | None:
    """A locked file descriptor of the file that has this name now: its last holder may have removed it."""
    for _ in range(10**9 if wait else TRIES):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            number = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except FileNotFoundError:  # another command tidied the folder away in between
            continue
        if _locked(number, wait):
            try:
                if os.fstat(number).st_ino == path.stat().st_ino:
                    return number
            except FileNotFoundError:
                pass
        os.close(number)
        time.sleep(PAUSE)
    return None


def _locked(number: int, wait: bool, shared: bool = False) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl

    how = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(number, how if wait else how | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
