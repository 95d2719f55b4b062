"""Reports the progress of a run while it works, and checks whether the run has been asked to stop."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

from polytask.locks import LockHolder
from polytask.study.run_spec import RunSpec
from polytask.study.stop_request import StopRequest
from polytask.training.interrupt import TrainingInterrupted

NOTE_INTERVAL_SECONDS = 0.5
"""Seconds between two notes of the progress, and between two checks for a stop request."""
TRAINING_SHARE_OF_RUN = 0.9
"""Share of a run that training takes, for the progress bar."""


class RunProgress:
    """The reporter of a run: notes its progress, and stops it when its command asks for that or has died."""

    def __init__(self, mine: LockHolder, spec: RunSpec, leash: StopRequest):
        self.run_lock, self.spec, self.stop_request = mine, spec, leash
        self.last_note_time, self.stop_signaled = 0.0, False
        self.networks: list[str] = [""]
        self.place, self.total = 0, spec.steps

    def begin(self, title: str, done: int, total: int) -> None:
        """Called when the training of a network starts or resumes."""
        self.place = self.networks.index(title) if title in self.networks else 0
        self.total = total
        self.tell(TRAINING_SHARE_OF_RUN * self._share(done), f"step {done} of {total}")

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """Called after each step; when a stop is requested, the run saves its state after this step and ends."""
        if not self._due():
            return
        self.tell(TRAINING_SHARE_OF_RUN * self._share(step), f"{self._network()}step {step} of {self.total}")
        if not self.stop_signaled and self.stop_request.is_requested:
            self.stop_signaled = True
            # A signal to itself takes the same path as Ctrl-C: the training loop finishes the step and saves. Only one
            # is sent, because a second one would end the process before it has saved.
            os.kill(os.getpid(), signal.SIGTERM)

    def say(self, text: str) -> None:
        """Ignore the text: it is written into the log of the run anyway."""

    def evaluated(self, done: int, total: int, what: str) -> None:
        """Called after each evaluated case. A stop request ends the evaluation; the next command repeats it."""
        if not self._due():
            return
        self.tell(
            TRAINING_SHARE_OF_RUN + (1 - TRAINING_SHARE_OF_RUN) * done / max(1, total),
            f"evaluating {done} of {total}",
        )
        if self.stop_request.is_requested:
            raise TrainingInterrupted(signal.SIGTERM, self.spec.steps)

    def tell(self, share: float, what: str) -> None:
        """Write the progress into the lock file of the run, where the command reads it."""
        self.run_lock.tell({"command": self.stop_request.pid, "share": share, "what": what})

    def _share(self, step: int) -> float:
        return (self.place + step / max(1, self.total)) / len(self.networks)

    def _network(self) -> str:
        return f"{self.networks[self.place]}: " if len(self.networks) > 1 else ""

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self.last_note_time >= NOTE_INTERVAL_SECONDS
        self.last_note_time = now if due else self.last_note_time
        return due
