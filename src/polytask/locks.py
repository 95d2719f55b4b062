"""One process at a time: the lock of a run, a store, a study or a folder of answers.

The system itself holds the lock and lets it go when its process ends, however it ends, so that a holder that was killed
blocks nobody. Beside the lock lies a note in JSON that says who holds it; it is information and decides nothing.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polytask.documents.json_reader import find_json_object
from polytask.errors import PolytaskError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LOOKING = 1.0
"""Seconds for which a lock is asked for again: somebody who only looks whether it is held has it for a moment."""
LOOKS, PAUSE = 3, 0.02
"""How often `is_held` asks before it says yes, and the seconds between."""
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""What a file system says that has no locks at all."""
Say = Callable[[str], None]


class LockedError(PolytaskError):
    """Another process holds the lock."""


class Holder:
    """A lock that this process holds; its note tells others who does what."""

    def __init__(self, path: Path, doing: str):
        self.path = path
        self._who = {"pid": os.getpid(), "host": platform.node(), "doing": doing}

    def tell(self, content: Mapping[str, Any]) -> None:
        """Replace the note by process, host and `content`. A note that cannot be written is left out."""
        part = _note_of(self.path).with_suffix(".part")
        try:
            part.write_text(json.dumps({**self._who, **content}), encoding="utf-8")
            os.replace(part, _note_of(self.path))
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def hold_lock(
    path: Path,
    doing: str,
    *,
    place: Path | None = None,
    patience: float = LOOKING,
    wait: bool = False,
    say: Say | None = None,
    note: Mapping[str, Any] | None = None,
) -> Iterator[Holder]:
    """Inside, no other process holds `path`, a file that is there only while it is held (or after a kill).

    On a file system without locks the work goes on without one.

    Args:
        doing: what this process does, as a person reads it after "process 12 on host A".
        place: what is locked, as an error names it; the lock's folder by default.
        patience: seconds until another holder is an error.
        wait: however long the other process takes; `say` is then told once whom it waits for.
        note: what else others can read of this process from the first moment on.

    Raises:
        LockedError: another process holds the lock, and `wait` is off.
        PolytaskError: the lock's file cannot be written.
    """
    lock = _take_lock(path, place or path.parent, patience, wait, say)
    holder = Holder(path, doing)
    try:
        holder.tell(note or {})
        yield holder
    finally:
        _release_lock(lock, path)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now."""
    for _ in range(LOOKS if path.exists() else 0):
        lock = _make_lock(path)
        try:
            if _was_taken(lock, 0.0):
                lock.release()
                return False
        except OSError:  # gone with its folder, or another person's file
            return False
        time.sleep(PAUSE)
    return path.exists()


def read_note(path: Path) -> dict[str, Any]:
    """What the holder of a lock said last; {} without a note."""
    return find_json_object(_note_of(path))


def describe_holder(path: Path) -> str:
    """Who holds a lock, in words."""
    note = read_note(path)
    if not {"pid", "host"} <= set(note):
        return "another process works on it"
    return f"process {note['pid']} on {note['host']} {note.get('doing') or 'works on it'}"


def _note_of(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _make_lock(path: Path) -> BaseFileLock:
    from filelock import FileLock

    return FileLock(path, thread_local=False, fallback_to_soft=False)


def _was_taken(lock: BaseFileLock, seconds: float) -> bool:
    """Ask for a lock; a file system without locks always gives it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=seconds, poll_interval=PAUSE)
    except Timeout:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True


def _take_lock(path: Path, place: Path, patience: float, wait: bool, say: Say | None) -> BaseFileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _make_lock(path)
        if _was_taken(lock, patience):
            return lock
        who = describe_holder(path)
        if not wait:
            raise LockedError(
                f"{place}: {who}; wait until it is done, or end it, then run the same command again"
            )
        if say is not None:
            say(f"{place}: {who}; this command waits until it is done")
        while not _was_taken(lock, LOOKING):
            path.parent.mkdir(parents=True, exist_ok=True)  # its last holder may have tidied the folder away
    except OSError as error:
        raise PolytaskError(
            f"{path.parent}: cannot write here ({error.strerror or error}); expected a writable folder; mend that, or "
            "choose another"
        ) from None
    return lock


def _release_lock(lock: BaseFileLock, path: Path) -> None:
    """Remove the file while the lock is held, so that nobody locks a file without a name; Windows wants it closed."""
    with suppress(OSError):
        _note_of(path).unlink(missing_ok=True)
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
    lock.release()
    if sys.platform == "win32":
        with suppress(OSError):
            path.unlink(missing_ok=True)
