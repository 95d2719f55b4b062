"""`run_one`: one run of a study in a process of its own; joblib calls it on any worker that is free.

Each run has its own process, so that its peak memory can be measured, and so that a run that is killed for lack of
memory ends no other run.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from polytask.locks import is_held, read_note
from polytask.study.folder import read_record, state_of
from polytask.study.leash import Leash, alive
from polytask.study.spec import RECORD, Spec

Ended = Literal["done", "failed", "stopped", "elsewhere"]
DONE, FAILED, STOPPED, ELSEWHERE = 0, 1, 3, 4
"""Exit codes of the run's process."""
ORPHAN_PAUSE = 0.2
"""Seconds between two checks of a run whose command was killed."""
ENDED: dict[int, Ended] = {DONE: "done", FAILED: "failed", STOPPED: "stopped", ELSEWHERE: "elsewhere"}


@dataclass(frozen=True)
class Outcome:
    """How a run ended: `stopped` = saved after a stop request; `elsewhere` = another command works on it."""

    name: str
    ended: Ended
    seconds: float


def run_one(work: str, spec: Spec, leash: Leash) -> Outcome:
    """Start the process of one run and wait for it: training, evaluation, costs. A finished run is left alone.

    Args:
        work: the work folder.
        stop_request: the stop request of the command; once it is made, the run saves its state and ends.
    """
    started = time.perf_counter()

    def outcome(ended: Ended) -> Outcome:
        return Outcome(spec.name, ended, time.perf_counter() - started)

    if state_of(spec, Path(work) / "runs" / spec.name)[0] == "done":
        return outcome("done")
    if leash.pulled:
        return outcome("stopped")
    if not wait_for_orphan(spec, leash):
        return outcome("elsewhere")
    given = {
        "work": str(Path(work).resolve()),
        "spec": asdict(spec),
        "leash": leash.held_by_this_process(),
    }
    threads = str(spec.threads)
    child = subprocess.Popen(
        [sys.executable, "-m", "polytask.study.process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # The thread pools read these only once, at import, so they must be set before the process starts.
        env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        start_new_session=True,  # Ctrl-C reaches the command, which then asks its runs to stop
    )
    with deaf(leash):
        _, said = child.communicate(json.dumps(given).encode())
    ended = ENDED.get(child.returncode)
    # The process may die without a note, for example when the system kills it for lack of memory.
    if ended is None or (ended == "failed" and not spec.failed.exists()):
        note_failure(spec, death(child.returncode), said.decode(errors="replace"))
        ended = "failed"
    return outcome(ended)


def wait_for_orphan(spec: Spec, leash: Leash) -> bool:
    """Wait until nobody works on the run; false when another command does, or a stop is requested.

    A run whose command was killed on this machine saves its state and ends soon, so waiting for it is worthwhile. A run
    of a living command is not waited for.
    """
    while is_held(spec.active):
        note = read_note(spec.active)
        orphan = note.get("host") == platform.node() and "command" in note and not alive(int(note["command"]))
        if leash.pulled or not orphan:
            return False
        time.sleep(ORPHAN_PAUSE)
    return True


@contextmanager
def deaf(leash: Leash) -> Iterator[None]:
    """Ignore SIGINT and SIGTERM in a worker process while it waits for a run.

    These signals reach all processes of the command. If a worker died of one, joblib would kill every run before it
    could save its state.
    """
    # The command itself must react to signals, and Python allows handlers in the main thread only.
    if os.getpid() == leash.pid or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # `handler` is None when it was not installed from Python; then the default is the closest choice.
            signal.signal(number, handler or signal.SIG_DFL)


def death(code: int) -> str:
    """Describe the end of a process that could not note its failure itself."""
    if code >= 0:
        return f"the run's process ended with exit code {code}"
    name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"the run's process was ended by {name}{hint}; run the same command again to go on"


def note_failure(spec: Spec, line: str, details: str) -> None:
    """Write `STUDY/failed/NAME.txt`: the error in one line, then all details."""
    spec.failed.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed, so that nobody reads half a message.
    part = spec.failed.with_suffix(".part")
    part.write_text(f"{' '.join(line.split())}\n\n{details.strip()}\n", encoding="utf-8")
    os.replace(part, spec.failed)


def recorded(folder: Path, **changes: object) -> None:
    """Change values in the `study.json` of a run, completely or not at all."""
    from polytask.plain import write_json

    write_json(folder / RECORD, {**read_record(folder), **changes})
