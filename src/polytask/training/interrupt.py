"""Ctrl-C and SIGTERM end a run at the next step, saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupted(Exception):
    """The run (its name in `run`) was asked to stop by a signal of this `number`; everything is saved."""

    def __init__(self, number: int, step: int):
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}")
        self.number, self.run = number, ""


class Asked:
    """Which signal asked to stop (0 = none yet)."""

    def __init__(self) -> None:
        self.signal = 0


@contextmanager
def listen() -> Iterator[Asked]:
    """While inside, the first SIGINT or SIGTERM is noted, a second one acts as usual."""
    asked = Asked()
    before: dict[int, Any] = {}

    def note(number: int, frame: FrameType | None) -> None:
        asked.signal = number
        signal.signal(number, before[number])

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
