"""How a command calls its runs back: a file it makes, or its own death."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Leash:
    """Of all runs of one command.

    Args:
        stop: as soon as this file is there, runs save themselves and end.
        host, pid: the command. A run on its machine that sees it dead does the same.
        parent: the process that waits for the run, 0 before there is one; its death counts too.
    """

    stop: str
    host: str
    pid: int
    parent: int = 0

    @classmethod
    def of_this_process(cls, folder: Path) -> Leash:
        """A leash whose stop file lies in `folder`."""
        host, pid = platform.node(), os.getpid()
        return cls(str((folder / f"stop.{host}.{pid}").resolve()), host, pid)

    def held_by_this_process(self) -> dict[str, Any]:
        """As plain data for the run that this process starts."""
        return {**asdict(self), "parent": os.getpid()}

    @property
    def pulled(self) -> bool:
        """Whether to save and end."""
        if Path(self.stop).exists() or (self.parent and os.getppid() != self.parent):
            return True
        return self.host == platform.node() and not alive(self.pid)


def alive(pid: int) -> bool:
    """Whether there is such a process on this machine."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
