"""Ctrl-C and SIGTERM end a run at the next step, after it is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TrainingInterrupted(Exception):
    """A signal with this `number` asked the run to stop; `run` is its name, and everything is saved."""

    def __init__(self, number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}")
        self.number, self.run = number, ""


class StopSignal:
    """Which signal asked the run to stop; 0 while none has."""

    def __init__(self) -> None:
        self.signal = 0


@contextmanager
def catch_stop_signals() -> Iterator[StopSignal]:
    """Inside the block the first SIGINT or SIGTERM is only recorded; a second one acts as usual."""
    asked = StopSignal()
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        asked.signal = number
        # The usual handler comes back at once, so that an impatient second Ctrl-C ends the process.
        signal.signal(number, before[number])

    # Python lets only the main thread set signal handlers.
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    try:
        for asking in (signal.SIGINT, signal.SIGTERM):
            before[asking] = signal.signal(asking, note)
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
