"""The process of one run of a study: it trains and evaluates the run, notes its progress, and stops when asked.

`python -m polytask.study.run_worker` reads its order from standard input. `run_one`, which runs in the process that
waits for this one, writes the order and reads the exit code. Torch is loaded only once the run is known to be open.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import parse_json
from polytask.errors import PolytaskError
from polytask.locks import LockedError, LockHolder, hold_lock
from polytask.plain import write_plain_json
from polytask.study.process_memory import measure_peak_memory
from polytask.study.run_spec import STUDY_RECORD_FILE, RunSpec
from polytask.study.study_folder import find_run_state, read_run_record
from polytask.training.interrupt import TrainingInterrupted
from polytask.training.run_request import RunRequest

RunEnding = Literal["done", "failed", "stopped", "elsewhere"]
"""How a run ended: `stopped` = saved after a stop request; `elsewhere` = another command works on it."""
EXIT_CODES: dict[RunEnding, int] = {"done": 0, "failed": 1, "stopped": 3, "elsewhere": 4}
"""How a run ended → exit code of its process."""
NOTE_INTERVAL_SECONDS = 0.5
"""Seconds between two notes of the progress, and between two checks for a stop request."""
TRAINING_SHARE_OF_RUN = 0.9
"""Share of a run that training takes, for the progress bar."""


@dataclass(frozen=True)
class StopRequest:
    """The signals by which all runs of one command notice that they must save and stop.

    Args:
        stop: path of the stop file; as soon as it exists, runs save their state and end.
        host, pid: machine and process of the command. A run on the same machine also stops when that process is gone.
        parent: the process that waits for the run, 0 before there is one; the run stops when it is gone too.
    """

    stop: str
    host: str
    pid: int
    parent: int = 0

    @classmethod
    def of_this_process(cls, folder: Path) -> StopRequest:
        """Create the stop request of this command, with its stop file in `folder`."""
        host, pid = platform.node(), os.getpid()
        return cls(str((folder / f"stop.{host}.{pid}").resolve()), host, pid)

    @property
    def is_requested(self) -> bool:
        """Whether the run has to save its state and end."""
        # A process whose parent dies gets another parent, so a changed parent number means that it is gone.
        if Path(self.stop).exists() or (self.parent and os.getppid() != self.parent):
            return True
        # A process number says nothing on another machine of a cluster; there only the stop file counts.
        return self.host == platform.node() and not is_process_alive(self.pid)


def is_process_alive(pid: int) -> bool:
    """Whether a process with this number exists on this machine."""
    try:
        # Signal 0 sends nothing; it only checks that the process exists.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # The process exists but belongs to another user.
    except PermissionError:
        return True
    return True


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
            raise TrainingInterrupted(signal.SIGTERM, self.order.spec.steps)

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


def execute_run(order: WorkerOrder) -> RunEnding:
    """Do the run of an order under its lock, and return how it ended."""
    spec = order.spec
    try:
        with hold_lock(
            spec.active, "works on this run", note={"command": order.stop_request.pid}
        ) as run_lock:
            if find_run_state(spec, order.folder)[0] == "done":
                return "done"
            # The note of an earlier failure would keep the state at `failed` after this try succeeds.
            for earlier in (spec.failed, spec.failed.with_suffix(".part")):
                earlier.unlink(missing_ok=True)
            try:
                perform_run(order, RunProgress(run_lock, order))
            except (TrainingInterrupted, KeyboardInterrupt):
                return "stopped"
            except Exception as error:
                note_failure(spec, summarize_error(error), traceback.format_exc())
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
    with count_run_seconds(folder):
        again = RunRequest(resume=spec.name, device=spec.device)
        train_run(order.work, again if resume else spec.make_run_request(), progress)
        # A resumed run has had several processes; the largest of their peaks counts.
        before = float(read_run_record(folder).get("memory") or 0)
        update_run_record(folder, memory=max(measure_peak_memory(), before))
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


def claim_run_folder(folder: Path, spec: RunSpec) -> bool:
    """Whether the run can be resumed. A folder without any finished epoch is removed, so that the run starts anew.

    Raises:
        PolytaskError: the folder belongs to another run.
    """
    from polytask.training.folder import RUN_FILE_NAME

    if not folder.exists():
        return False
    was = read_run_record(folder).get("run")
    if was == spec.identity() and (folder / RUN_FILE_NAME).exists():
        return True
    # No note, no log and no checkpoint: the process was killed before its first epoch, so nothing is lost.
    if was is None and not (folder / "metrics.jsonl").exists() and not (folder / "best").exists():
        shutil.rmtree(folder)
        return False
    raise PolytaskError(
        f"{folder}: a run of this name exists, but it is not this study's or was made with other values; move it away, "
        "or begin another study with -o"
    )


@contextmanager
def count_run_seconds(folder: Path) -> Iterator[None]:
    """Add the seconds of the block to those noted in the run's folder, also after an interruption or an error, so that
    the time of all tries is counted."""
    started = time.perf_counter()
    try:
        yield
    finally:
        if folder.is_dir():
            before = float(read_run_record(folder).get("seconds") or 0)
            update_run_record(folder, seconds=before + time.perf_counter() - started)


def update_run_record(folder: Path, **changes: object) -> None:
    """Change values in the `study.json` of a run, completely or not at all."""
    write_plain_json(folder / STUDY_RECORD_FILE, {**read_run_record(folder), **changes})


def note_failure(spec: RunSpec, line: str, details: str) -> None:
    """Write `STUDY/failed/NAME.txt`: the error in one line, then all details."""
    spec.failed.parent.mkdir(parents=True, exist_ok=True)
    text = f"{' '.join(line.split())}\n\n{details.strip()}\n"
    write_text_atomically(spec.failed, text, spec.failed.with_suffix(".part"))


def summarize_error(error: Exception) -> str:
    """Return the first line of an error, with its type when it is not a message for users."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, PolytaskError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    # The worker blocks SIGINT and children inherit that; this process has to be able to stop.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    order = ORDER_JSON.validate_python(parse_json(sys.stdin.read(), "the order of a study's run"))
    sys.exit(EXIT_CODES[execute_run(order)])
