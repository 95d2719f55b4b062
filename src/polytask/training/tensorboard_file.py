"""Writes TensorBoard's event file in this thread.

TensorBoard's own writer passes everything to a second thread. When the disk is full, that thread dies with a traceback
that nobody can catch.
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


class TensorBoardFile:
    """One event file with numbers by step. If the file cannot be written, the logging ends, never the training."""

    def __init__(self, folder: Path, step: int):
        """Open the file. A viewer drops what earlier files of this folder say from `step` on."""
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
        # A resumed run repeats steps: without this mark a viewer would show both curves.
        self._write(step=step, session_log=SessionLog(status=SessionLog.START))
        self.flush()

    @classmethod
    def find(cls, folder: Path, step: int) -> Self | None:
        """Open an event file if TensorBoard is installed; otherwise return None."""
        return cls(folder, step) if find_spec("tensorboard") else None

    def add(self, numbers: Mapping[str, float], step: int) -> None:
        """Write numbers by name for one step."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=name, simple_value=number) for name, number in numbers.items()]
        if values:
            self._write(step=step, summary=Summary(value=values))
            self.flush()

    def flush(self) -> None:
        """Make everything written so far visible to viewers."""
        self._attempt_on_file(lambda file: file.flush())

    def close(self) -> None:
        """Close the event file; later calls then do nothing."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def _write(self, **fields: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        record = Event(wall_time=time.time(), **fields).SerializeToString()
        self._attempt_on_file(lambda file: RecordWriter(file).write(record))

    def _attempt_on_file(self, act: Callable[[Any], object]) -> None:
        if self._file is None:
            return
        try:
            act(self._file)
        except OSError:
            self.close()
