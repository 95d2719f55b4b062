"""Ctrl-C and SIGTERM end a run at the next step, after it is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TrainingInterrupted(Exception):
    """A signal with this `number` asked the training to stop after `step`, and everything is saved.

    Args:
        run: name of the run; "" where the one who raises it does not know it.
    """

    def __init__(self, number: int, step: int, run: str = ""):
        super().__init__(f"stopped by {signal.Signals(number).name} after step {step}")
        self.number, self.step, self.run = number, step, run


class StopSignal:
    """Which signal asked the run to stop; 0 while none has."""

    def __init__(self) -> None:
        self.signal = 0


@contextmanager
def catch_stop_signals() -> Iterator[StopSignal]:
    """Inside the block the first SIGINT or SIGTERM is only recorded; a second one acts as usual."""
    stop_signal = StopSignal()
    before: dict[int, Any] = {}

    def record(number: int, frame: FrameType | None) -> None:
        stop_signal.signal = number
        # The usual handler comes back at once, so that an impatient second Ctrl-C ends the process.
        signal.signal(number, before[number])

    # Python lets only the main thread set signal handlers.
    if threading.current_thread() is not threading.main_thread():
        yield stop_signal
        return
    try:
        for listened in (signal.SIGINT, signal.SIGTERM):
            before[listened] = signal.signal(listened, record)
        yield stop_signal
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ignore_stop_signals() -> Iterator[None]:
    """Ignore SIGINT and SIGTERM in a worker process while it waits for a run.

    These signals reach all processes of a command. If a worker died of one, joblib would kill every run before it could
    save its state.
    """
    # Python allows signal handlers in the main thread only.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # `handler` is None when it was not installed from Python; then the default is the closest choice.
            signal.signal(number, handler or signal.SIG_DFL)
