"""Starts the process of one run of a study and waits for it; joblib calls `run_one` on any free worker.

Each run has its own process, so that its peak memory can be measured, and so that a run that is killed for lack of
memory ends no other run.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from polytask.locks import is_lock_held, read_lock_note
from polytask.study.run_spec import RunSpec
from polytask.study.run_worker import (
    EXIT_CODES,
    ORDER_JSON,
    RunEnding,
    StopRequest,
    WorkerOrder,
    is_process_alive,
    note_failure,
)
from polytask.study.study_folder import find_run_state

ORPHAN_POLL_SECONDS = 0.2
"""Seconds between two checks of a run whose command was killed."""
ENDING_BY_EXIT_CODE: dict[int, RunEnding] = {code: ending for ending, code in EXIT_CODES.items()}


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended, and the seconds it took."""

    name: str
    ended: RunEnding
    seconds: float


def run_one(work: str, spec: RunSpec, stop_request: StopRequest) -> RunOutcome:
    """Start the process of one run and wait for it: training, evaluation, costs. A finished run is left alone.

    Args:
        work: the work folder.
        stop_request: the stop request of the command; once it is made, the run saves its state and ends.
    """
    started = time.perf_counter()

    def make_outcome(ended: RunEnding) -> RunOutcome:
        return RunOutcome(spec.name, ended, time.perf_counter() - started)

    if find_run_state(spec, Path(work) / "runs" / spec.name)[0] == "done":
        return make_outcome("done")
    if stop_request.is_requested:
        return make_outcome("stopped")
    if not wait_for_orphan(spec, stop_request):
        return make_outcome("elsewhere")
    order = WorkerOrder(Path(work).resolve(), spec, replace(stop_request, parent=os.getpid()))
    threads = str(spec.threads)
    child = subprocess.Popen(
        [sys.executable, "-m", "polytask.study.run_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # The thread pools read these only once, at import, so they must be set before the process starts.
        env={**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        start_new_session=True,  # Ctrl-C reaches the command, which then asks its runs to stop
    )
    with ignore_interrupts(stop_request):
        _, error_output = child.communicate(ORDER_JSON.dump_json(order))
    ended = ENDING_BY_EXIT_CODE.get(child.returncode)
    # The process may die without a note, for example when the system kills it for lack of memory.
    if ended is None or (ended == "failed" and not spec.failed.exists()):
        note_failure(spec, describe_process_end(child.returncode), error_output.decode(errors="replace"))
        ended = "failed"
    return make_outcome(ended)


def wait_for_orphan(spec: RunSpec, stop_request: StopRequest) -> bool:
    """Wait until nobody works on the run; false when another command does, or a stop is requested.

    A run whose command was killed on this machine saves its state and ends soon, so waiting for it is worthwhile. A run
    of a living command is not waited for.
    """
    while is_lock_held(spec.active):
        note = read_lock_note(spec.active)
        orphan = (
            note.get("host") == platform.node()
            and "command" in note
            and not is_process_alive(int(note["command"]))
        )
        if stop_request.is_requested or not orphan:
            return False
        time.sleep(ORPHAN_POLL_SECONDS)
    return True


@contextmanager
def ignore_interrupts(stop_request: StopRequest) -> Iterator[None]:
    """Ignore SIGINT and SIGTERM in a worker process while it waits for a run.

    These signals reach all processes of the command. If a worker died of one, joblib would kill every run before it
    could save its state.
    """
    # The command itself must react to signals, and Python allows handlers in the main thread only.
    if os.getpid() == stop_request.pid or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            # `handler` is None when it was not installed from Python; then the default is the closest choice.
            signal.signal(number, handler or signal.SIG_DFL)


def describe_process_end(code: int) -> str:
    """Describe the end of a process that could not note its failure itself."""
    if code >= 0:
        return f"the run's process ended with exit code {code}"
    name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"the run's process was ended by {name}{hint}; run the same command again to go on"
