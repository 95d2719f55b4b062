"""TensorBoard's event file, written in this thread.

TensorBoard's own writer hands everything to a thread, whose error on a full disk is a traceback that nobody can catch.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self


class Board:
    """One event file of numbers by step. A file that cannot be written ends the board, never the training."""

    def __init__(self, folder: Path, step: int):
        """Open the file; a viewer forgets what earlier files of the folder say from `step` on."""
        from tensorboard.compat.proto.event_pb2 import SessionLog

        self._file: Any = None
        self._name = (
            f"events.out.tfevents.{int(time.time()):010d}.{platform.node()}.{os.getpid()}.{time.time_ns()}"
        )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / self._name).open("wb")
        except OSError:
            return
        self._write(step=step, file_version="brain.Event:2")
        self._write(step=step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    @classmethod
    def find(cls, folder: Path, step: int) -> Self | None:
        """A board where TensorBoard is installed."""
        return cls(folder, step) if find_spec("tensorboard") else None

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        """Numbers by their name, at a step."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
        if values:
            self._write(step=step, summary=Summary(value=values))
            self.flush()

    def flush(self) -> None:
        """Let viewers see what was added."""
        self._try(lambda file: file.flush())

    def close(self) -> None:
        """End the file."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = Event(wall_time=time.time(), **fields).SerializeToString()
        self._try(lambda file: RecordWriter(file).write(record))

    def _try(self, act: Callable[[Any], object]) -> None:
        if self._file is None:
            return
        try:
            act(self._file)
        except OSError:
            self.close()
