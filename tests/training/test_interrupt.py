"""Signals that ask a training to stop."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from polytask.training.interrupt import StopSignal, TrainingInterrupted, catch_stop_signals


@pytest.fixture
def python_handler() -> Iterator[None]:
    """Python's own handler: processes that a shell starts in the background ignore the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("python_handler")
def test_the_first_signal_is_noted_and_the_second_acts_as_usual() -> None:
    before = signal.getsignal(signal.SIGINT)
    with catch_stop_signals() as asked:
        assert asked.signal == 0
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_request_to_end_is_noted_too() -> None:
    with catch_stop_signals() as asked:
        os.kill(os.getpid(), signal.SIGTERM)
        assert asked.signal == signal.SIGTERM


def test_outside_of_the_main_thread_nothing_is_listened_to() -> None:
    seen: list[StopSignal] = []

    def run() -> None:
        with catch_stop_signals() as asked:
            seen.append(asked)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert [a.signal for a in seen] == [0]


def test_an_interruption_says_when_it_came() -> None:
    found = TrainingInterrupted(signal.SIGTERM, 12)
    assert str(found) == "stopped by SIGTERM after step 12"
    assert (found.number, found.run) == (15, "")
