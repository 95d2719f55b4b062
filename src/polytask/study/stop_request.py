"""The signals by which the runs of a study notice that they must save and stop."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from polytask.locks import is_process_alive


@dataclass(frozen=True)
class StopRequest:
    """The signals by which all runs of one command notice that they must save and stop.

    Args:
        stop: path of the stop file; as soon as it exists, runs save their state and end.
        host, pid: machine and process of the command. A run on the same machine also stops when that process is gone.
        parent: the process that waits for the run, 0 before there is one; the run stops when it is gone too.
    """

    stop: str
    host: str
    pid: int
    parent: int = 0

    @classmethod
    def of_this_process(cls, folder: Path) -> StopRequest:
        """Create the stop request of this command, with its stop file in `folder`."""
        host, pid = platform.node(), os.getpid()
        return cls(str((folder / f"stop.{host}.{pid}").resolve()), host, pid)

    @property
    def is_requested(self) -> bool:
        """Whether the run has to save its state and end."""
        # A process whose parent dies gets another parent, so a changed parent number means that it is gone.
        if Path(self.stop).exists() or (self.parent and os.getppid() != self.parent):
            return True
        # A process number says nothing on another machine of a cluster; there only the stop file counts.
        return self.host == platform.node() and not is_process_alive(self.pid)
