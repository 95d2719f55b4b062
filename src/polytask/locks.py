"""Let only one process at a time work in a run, a store, a study or an output folder.

The operating system holds the lock and releases it when its process ends, however it ends, so a killed holder blocks
nobody. A note in JSON beside the lock says who holds it. The note is only information; it decides nothing.
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

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import find_json_object
from polytask.errors import PolytaskError

if TYPE_CHECKING:
    from filelock import BaseFileLock

DEFAULT_LOCK_PATIENCE = 1.0
"""Seconds for which a held lock is tried again: another process that only checks whether it is held has it briefly."""
HELD_CHECKS, LOCK_POLL_SECONDS = 3, 0.02
"""How often `is_lock_held` tries before it answers yes, and the seconds between two tries of any kind."""
NO_LOCK_ERRORS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""Error codes of a file system that has no locks at all."""
WaitCallback = Callable[[str], None]


class LockedError(PolytaskError):
    """Raised when another process holds the lock."""


class LockHolder:
    """A lock that this process holds, with the note that tells others what this process does."""

    def __init__(self, path: Path, doing: str):
        self.path = path
        self._who = {"pid": os.getpid(), "host": platform.node(), "doing": doing}

    def tell(self, content: Mapping[str, Any]) -> None:
        """Replace the note by process, host and `content`. If it cannot be written, the work goes on without a note."""
        note = _get_note_path(self.path)
        with suppress(OSError):
            write_text_atomically(note, json.dumps({**self._who, **content}), note.with_suffix(".part"))


@contextmanager
def hold_lock(
    path: Path,
    doing: str,
    *,
    place: Path | None = None,
    patience: float = DEFAULT_LOCK_PATIENCE,
    wait: bool = False,
    say: WaitCallback | None = None,
    note: Mapping[str, Any] | None = None,
) -> Iterator[LockHolder]:
    """Hold the lock `path` for the time of the block, so that no other process can hold it.

    The file exists only while the lock is held (or after a kill). On a file system without locks the work goes on
    without one.

    Args:
        path: file of the lock.
        doing: what this process does, worded to follow "process 12 on host A".
        place: what is locked, as an error names it; the lock's folder by default.
        patience: seconds until another holder is an error.
        wait: wait as long as the other process takes, instead of raising.
        say: called once with a line that says whom this process waits for.
        note: more content of the note, from the first moment on.

    Raises:
        LockedError: another process holds the lock, and `wait` is off.
        PolytaskError: the lock's file cannot be written.
    """
    lock = _take_lock(path, place or path.parent, patience, wait, say)
    holder = LockHolder(path, doing)
    try:
        holder.tell(note or {})
        yield holder
    finally:
        _release_lock(lock, path)


def is_lock_held(path: Path) -> bool:
    """Whether any process holds the lock now. Nothing is changed, and no process is blocked for long."""
    for _ in range(HELD_CHECKS if path.exists() else 0):
        # Asking takes the lock for a moment, so two processes that ask at once could each take the other for a
        # holder. Only several failures in a row count.
        lock = _make_lock(path)
        try:
            if _try_to_take_lock(lock, 0.0):
                lock.release()
                return False
        except OSError:  # gone with its folder, or another person's file
            return False
        time.sleep(LOCK_POLL_SECONDS)
    return path.exists()


def read_lock_note(path: Path) -> dict[str, Any]:
    """Read the note that the holder of a lock wrote last; {} without a note."""
    return find_json_object(_get_note_path(path))


def describe_lock_holder(path: Path) -> str:
    """Say in words who holds a lock, and what that process does."""
    note = read_lock_note(path)
    if not {"pid", "host"} <= set(note):
        return "another process works on it"
    return f"process {note['pid']} on {note['host']} {note.get('doing') or 'works on it'}"


def _get_note_path(path: Path) -> Path:
    """Return the path of the note beside a lock."""
    return path.with_name(path.name + ".json")


def _make_lock(path: Path) -> BaseFileLock:
    """Make the lock object of `filelock`; it is not taken yet."""
    from filelock import FileLock

    # Not bound to a thread: a lock may be released in another thread than the one that took it. No soft lock: that is
    # a plain file, which would block everybody after a kill.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def _try_to_take_lock(lock: BaseFileLock, seconds: float) -> bool:
    """Try to take a lock for some seconds. Returns whether that worked; a file system without locks counts as yes."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=seconds, poll_interval=LOCK_POLL_SECONDS)
    except Timeout:
        return False
    except OSError as error:
        if error.errno not in NO_LOCK_ERRORS:
            raise
    return True


def _take_lock(
    path: Path, place: Path, patience: float, wait: bool, say: WaitCallback | None
) -> BaseFileLock:
    """Take a lock, or raise when another process keeps it. For the arguments see `hold_lock`."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = _make_lock(path)
        if _try_to_take_lock(lock, patience):
            return lock
        who = describe_lock_holder(path)
        if not wait:
            raise LockedError(
                f"{place}: {who}; wait until it is done, or end it, then run the same command again"
            )
        if say is not None:
            say(f"{place}: {who}; this command waits until it is done")
        while not _try_to_take_lock(lock, DEFAULT_LOCK_PATIENCE):
            path.parent.mkdir(parents=True, exist_ok=True)  # its last holder may have removed the folder
    except OSError as error:
        raise PolytaskError(
            f"{path.parent}: cannot write here ({error.strerror or error}); expected a writable folder; make it "
            "writable, or choose another"
        ) from None
    return lock


def _release_lock(lock: BaseFileLock, path: Path) -> None:
    """Remove note and lock file, and release the lock.

    The file is removed while the lock is still held. Otherwise another process could lock it just before it is removed,
    and a third one could lock a new file of that name at the same time. Windows cannot remove an open file, so there it
    comes last.
    """
    with suppress(OSError):
        _get_note_path(path).unlink(missing_ok=True)
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
    lock.release()
    if sys.platform == "win32":
        with suppress(OSError):
            path.unlink(missing_ok=True)


def is_process_alive(pid: int) -> bool:
    """Whether a process with this number exists on this machine."""
    try:
        # Signal 0 sends nothing; it only checks that the process exists.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # The process exists but belongs to another user.
    except PermissionError:
        return True
    return True
