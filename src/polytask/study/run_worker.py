"""One run of a study in a process of its own: `run_one` starts it and waits, the process trains and evaluates the run.

Each run has its own process, so that its peak memory can be measured, and so that a run that is killed for lack of
memory ends no other run. `python -m polytask.study.run_worker` reads its order from standard input, notes its progress,
stops when asked, and tells by its exit code how the run ended. Torch is loaded only once the run is known to be open.
"""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from polytask.documents.json_reader import parse_json
from polytask.locks import LockedError, LockHolder, hold_lock, is_lock_held, is_process_alive, read_lock_note
from polytask.study.grouped_run import make_grouped_request, wait_for_measurement
from polytask.study.process_memory import measure_peak_memory
from polytask.study.run_spec import RunSpec
from polytask.study.stop_request import StopRequest
from polytask.study.study_folder import (
    claim_run_folder,
    count_run_seconds,
    find_run_state,
    note_error,
    note_failure,
    read_run_record,
    remove_failure_note,
    update_run_record,
)
from polytask.training.interrupt import TrainingInterrupted, ignore_stop_signals
from polytask.training.run_request import RunRequest

RunEnding = Literal["done", "failed", "stopped", "elsewhere"]
"""How a run ended: `stopped` = saved after a stop request; `elsewhere` = another command works on it."""
EXIT_CODES: dict[RunEnding, int] = {"done": 0, "failed": 1, "stopped": 3, "elsewhere": 4}
"""How a run ended → exit code of its process."""
NOTE_INTERVAL_SECONDS = 0.5
"""Seconds between two notes of the progress, and between two checks for a stop request."""
TRAINING_SHARE_OF_RUN = 0.9
"""Share of a run that training takes, for the progress bar."""
ORPHAN_POLL_SECONDS = 0.2
"""Seconds between two checks of a run whose command was killed."""
ENDING_BY_EXIT_CODE: dict[int, RunEnding] = {code: ending for ending, code in EXIT_CODES.items()}


@dataclass(frozen=True)
class WorkerOrder:
    """What the process of a run has to do; it is sent to its standard input as JSON (`ORDER_JSON`).

    Args:
        work: the work folder. spec: the run.
        stop_request: that of the command, with the process that waits as its `parent`.
    """

    work: Path
    spec: RunSpec
    stop_request: StopRequest

    @property
    def folder(self) -> Path:
        """The folder of the run, which may not exist yet."""
        return self.work / "runs" / self.spec.name


ORDER_JSON = TypeAdapter(WorkerOrder)
"""Writes orders as JSON and reads them back, tuples and paths included."""


class RunProgress:
    """The reporter of a run: notes how far it is, and stops it when its command asks for that or has died."""

    def __init__(self, run_lock: LockHolder, order: WorkerOrder):
        self.run_lock, self.order, self.stop_request = run_lock, order, order.stop_request
        self.last_note_time, self.stop_signaled = 0.0, False
        self.networks: list[str] = [""]
        self.place, self.total = 0, order.spec.steps

    def begin(self, title: str, done: int, total: int) -> None:
        """Called when the training of a network starts or resumes, before its first step."""
        from polytask.training.folder import Run

        # Noted before the first step: a run that is killed later is then recognized as this one and resumed.
        update_run_record(self.order.folder, run=self.order.spec.identity())
        self.networks = list(Run.read(self.order.folder).networks)
        self.place, self.total = self.networks.index(title) if title in self.networks else 0, total
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

    def move_end(self, total: int) -> None:
        """Note another number of steps. Runs of a study have a fixed number, so this is never called for them."""
        self.total = total

    def say(self, text: str) -> None:
        """Ignore the text: it is written into the log of the run anyway."""

    def evaluated(self, done: int, total: int, what: str) -> None:
        """Called after each evaluated case. A stop request ends the evaluation; the next command repeats it."""
        if not self._due():
            return
        share = TRAINING_SHARE_OF_RUN + (1 - TRAINING_SHARE_OF_RUN) * done / max(1, total)
        self.tell(share, f"evaluating {done} of {total}")
        if self.stop_request.is_requested:
            raise TrainingInterrupted(signal.SIGTERM, self.order.spec.steps)

    def tell(self, share: float, what: str) -> None:
        """Write the progress into the lock file of the run, where the command reads it."""
        self.run_lock.tell({"command": self.stop_request.pid, "share": share, "what": what})

    def _share(self, step: int) -> float:
        return (self.place + step / max(1, self.total)) / len(self.networks)

    def _network(self) -> str:
        return f"{self.networks[self.place]}: " if len(self.networks) > 1 else ""

    def _due(self) -> bool:
        if time.monotonic() - self.last_note_time < NOTE_INTERVAL_SECONDS:
            return False
        self.last_note_time = time.monotonic()
        return True


def execute_run(order: WorkerOrder) -> RunEnding:
    """Do the run of an order under its lock, and return how it ended."""
    spec, note = order.spec, {"command": order.stop_request.pid}
    try:
        with hold_lock(spec.active, "works on this run", note=note) as run_lock:
            if find_run_state(spec, order.folder)[0] == "done":
                return "done"
            remove_failure_note(spec)
            try:
                perform_run(order, RunProgress(run_lock, order))
            except (TrainingInterrupted, KeyboardInterrupt):
                return "stopped"
            except Exception as error:
                note_error(spec, error)
                return "failed"
            return "done"
    except LockedError:
        return "elsewhere"


def perform_run(order: WorkerOrder, progress: RunProgress) -> None:
    """Do what is left of one run: training, evaluation and costs.

    Raises:
        PolytaskError: bad input, or a folder of that name that belongs to another run.
        TrainingInterrupted: the run was asked to stop; everything is saved.
    """
    # Imported here, so that an error while libraries are loaded is noted as the failure of this run, and the parent,
    # which knows this module too, stays light.
    from polytask.evaluation.evaluate_run import evaluate
    from polytask.study.study_run_costs import measure_study_run_costs
    from polytask.training.folder import Run
    from polytask.training.run import train_run

    spec, folder = order.spec, order.folder
    resume = claim_run_folder(folder, spec)
    again = RunRequest(resume=spec.name, device=spec.device)
    request = again if resume else make_grouped_request(order.work, spec)
    with count_run_seconds(folder):
        train_run(order.work, request, progress)
        # A resumed run has had several processes; the largest of their peaks counts.
        earlier_peak = float(read_run_record(folder).get("memory") or 0)
        update_run_record(folder, memory=max(measure_peak_memory(), earlier_peak))
        progress.tell(TRAINING_SHARE_OF_RUN, "evaluating")
        evaluate(
            folder,
            "held_out",
            resamples=spec.resamples,
            progress=progress.evaluated,
            device=spec.device,
            hidden=False,
        )
        costs = measure_study_run_costs(Run.read(folder), spec.device)
    # Last of all: the presence of costs is what marks a run as done.
    update_run_record(folder, costs=asdict(costs))


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended, and the seconds it took."""

    name: str
    ended: RunEnding
    seconds: float


def run_one(work: str, spec: RunSpec, stop_request: StopRequest) -> RunOutcome:
    """Start the process of one run in the work folder and wait for it: training, evaluation, costs. A finished run is
    left alone. Once the command makes its stop request, the run saves its state and ends."""
    started = time.perf_counter()

    def make_outcome(ended: RunEnding) -> RunOutcome:
        return RunOutcome(spec.name, ended, time.perf_counter() - started)

    if find_run_state(spec, Path(work) / "runs" / spec.name)[0] == "done":
        return make_outcome("done")
    if stop_request.is_requested:
        return make_outcome("stopped")
    if not wait_for_orphan(spec, stop_request):
        return make_outcome("elsewhere")
    if not wait_for_measurement(spec, stop_request):
        return make_outcome("stopped")
    order = WorkerOrder(Path(work).resolve(), spec, replace(stop_request, parent=os.getpid()))
    child = subprocess.Popen(
        [sys.executable, "-m", "polytask.study.run_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # The thread pools read these only once, at import, so they must be set before the process starts.
        env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(spec.threads)),
        start_new_session=True,  # Ctrl-C reaches the command, which then asks its runs to stop
    )
    # The command itself must react to signals; only the workers that it started ignore them.
    with nullcontext() if os.getpid() == stop_request.pid else ignore_stop_signals():
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
        same_machine = note.get("host") == platform.node()
        orphan = same_machine and "command" in note and not is_process_alive(int(note["command"]))
        if stop_request.is_requested or not orphan:
            return False
        time.sleep(ORPHAN_POLL_SECONDS)
    return True


def describe_process_end(code: int) -> str:
    """Describe the end of a process that could not note its failure itself."""
    if code >= 0:
        return f"the run's process ended with exit code {code}"
    name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else f"signal {-code}"
    hint = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"the run's process was ended by {name}{hint}; run the same command again to go on"


if __name__ == "__main__":
    # The worker blocks SIGINT and children inherit that; this process has to be able to stop.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    order = ORDER_JSON.validate_python(parse_json(sys.stdin.read(), "the order of a study's run"))
    sys.exit(EXIT_CODES[execute_run(order)])
