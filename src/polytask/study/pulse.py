"""How far a run is, told while it works; and whether it is to stop, asked while it works."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping

from polytask.locks import Holder
from polytask.study.leash import Leash
from polytask.study.spec import Spec
from polytask.training.interrupt import Interrupted

TELL_EVERY = 0.5
"""Seconds between two looks at whether to stop, and between two notes of how far the run is."""
TRAINING = 0.9
"""Share of a run that training takes, for the bar."""


class Pulse:
    """The run's reporter: notes how far it is, and asks it to stop when its command does or has died."""

    def __init__(self, mine: Holder, spec: Spec, leash: Leash):
        self.mine, self.spec, self.leash = mine, spec, leash
        self.looked, self.signalled = 0.0, False
        self.networks: list[str] = [""]
        self.place, self.total = 0, spec.steps

    def begin(self, title: str, done: int, total: int) -> None:
        """A network starts."""
        self.place = self.networks.index(title) if title in self.networks else 0
        self.total = total
        self.tell(TRAINING * self._share(done), f"step {done} of {total}")

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        """A step is done; asked to stop, the run ends behind it, saved."""
        if not self._due():
            return
        self.tell(TRAINING * self._share(step), f"{self._network()}step {step} of {self.total}")
        if not self.signalled and self.leash.pulled:
            self.signalled = True
            os.kill(os.getpid(), signal.SIGTERM)

    def say(self, text: str) -> None:
        """The log has it too."""

    def evaluated(self, done: int, total: int, what: str) -> None:
        """A case is predicted; asked to stop, the evaluation is left and made anew with the next command."""
        if not self._due():
            return
        self.tell(TRAINING + (1 - TRAINING) * done / max(1, total), f"evaluating {done} of {total}")
        if self.leash.pulled:
            raise Interrupted(signal.SIGTERM, self.spec.steps)

    def tell(self, share: float, what: str) -> None:
        """For whoever looks."""
        self.mine.tell({"command": self.leash.pid, "share": share, "what": what})

    def _share(self, step: int) -> float:
        return (self.place + step / max(1, self.total)) / len(self.networks)

    def _network(self) -> str:
        return f"{self.networks[self.place]}: " if len(self.networks) > 1 else ""

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self.looked >= TELL_EVERY
        self.looked = now if due else self.looked
        return due
