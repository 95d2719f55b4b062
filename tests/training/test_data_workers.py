"""A process that reads data may be killed whenever it likes: one line, and a run that goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest
from torch.utils.data import _utils

from polytask.errors import PolytaskError
from polytask.training.interrupt import TrainingInterrupted
from polytask.training.run import train
from tests.training.test_resume import entries, weights

OPTIONS = ["training.epochs=2"]


class Kills:
    """A reporter that kills the reading processes at a step, as a lack of memory would; or first asks to stop."""

    def __init__(self, step: int, stop: bool = False):
        self.at, self.stop, self.killed = step, stop, 0
        self.others = set(multiprocessing.active_children())  # of other tests

    def begin(self, title: str, done: int, total: int) -> None: ...
    def move_end(self, total: int) -> None: ...

    def say(self, text: str) -> None: ...

    def step(self, step: int, losses: Mapping[str, float]) -> None:
        if step != self.at:
            return
        for worker in set(multiprocessing.active_children()) - self.others:
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
            self.killed += 1
        if self.stop:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch looks after its workers every five seconds."""
    monkeypatch.setattr(_utils, "MP_STATUS_CHECK_INTERVAL", 0.1)


def test_a_killed_worker_is_one_line_and_loses_nothing(work: Path) -> None:
    train(work, name="whole", tasks=["grade"], overrides=OPTIONS)
    kills = Kills(step=2)
    with pytest.raises(PolytaskError) as died:
        train(work, name="cut", tasks=["grade"], overrides=OPTIONS, workers=1, reporter=kills)
    assert kills.killed == 1
    said = str(died.value)
    assert [w for w in ("runs/cut: a data worker died", "--resume cut", "--workers 0") if w not in said] == []
    assert "\n" not in said
    train(work, resume="cut", workers=1)
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut"), "also the means of the epoch that was cut"


def test_workers_that_are_ended_with_the_command_do_not_hide_that_it_was_asked_to_stop(work: Path) -> None:
    train(work, name="whole", tasks=["grade"], overrides=OPTIONS)
    with pytest.raises(TrainingInterrupted) as stop:
        train(
            work, name="cut", tasks=["grade"], overrides=OPTIONS, workers=1, reporter=Kills(step=1, stop=True)
        )
    assert stop.value.run == "cut"
    train(work, resume="cut")
    assert weights(work, "whole") == weights(work, "cut")
    assert entries(work, "whole") == entries(work, "cut"), "also the means of the epoch that was cut"
