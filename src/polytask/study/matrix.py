"""Runs the matrix through joblib; the main thread watches what is done, running or failed, and the time left."""

from __future__ import annotations

import importlib
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import joblib
from joblib.parallel import BACKENDS, EXTERNAL_BACKENDS

from polytask.errors import PolytaskError, suggest_word
from polytask.study.run_estimate import RunEstimate, estimate_remaining_seconds
from polytask.study.run_worker import run_one
from polytask.study.stop_request import StopRequest
from polytask.study.study_folder import Study, StudyRun
from polytask.training.interrupt import catch_stop_signals

POLL_SECONDS = 0.5
"""Seconds between two readings of the run states."""
RAY_BACKEND = "ray"


@dataclass(frozen=True)
class MatrixSnapshot:
    """The progress of the matrix; `left` are the estimated seconds to go, NaN when unknown."""

    study: Study
    left: float

    def of(self, state: str) -> list[StudyRun]:
        """Return the runs that are in one state."""
        return [run for run in self.study.runs if run.state == state]

    @property
    def active(self) -> list[StudyRun]:
        """The unfinished runs that a process is working on."""
        return [run for run in self.study.runs if run.state != "done" and run.active]


WatchCallback = Callable[[MatrixSnapshot], None]


def prepare_backend(backend: str) -> None:
    """Check the name of a joblib backend, and register Ray's backend when that is asked for.

    Raises:
        PolytaskError: the name is unknown, or Ray is not installed.
    """
    known = sorted({*BACKENDS, *EXTERNAL_BACKENDS, RAY_BACKEND})
    if backend not in known:
        raise PolytaskError(f"--backend {backend}: {suggest_word(backend, known)}")
    if backend == RAY_BACKEND:
        try:
            module = importlib.import_module("ray.util.joblib")
        except ImportError as error:
            raise PolytaskError(
                f"--backend ray: Ray cannot be loaded ({error}); install it with `pip install 'ray'`, or leave "
                "--backend out for processes on this machine"
            ) from None
        module.register_ray()


def run_matrix(
    study: Study,
    expect: Callable[[Study], dict[str, RunEstimate]],
    jobs: int,
    backend: str,
    watch: WatchCallback,
) -> int:
    """Do all open runs; returns the number of the signal that ended this early, 0 without one.

    A failed run does not stop the others. After the first SIGINT or SIGTERM, the active runs save their state and no
    further run is started.

    Args:
        expect: returns arm → estimate of one run; called again whenever another run is done.
    """
    todo = [run for run in study.runs if run.state != "done"]
    stop_request = StopRequest.of_this_process(study.folder / "active")
    stop_file = Path(stop_request.stop)
    stop_file.parent.mkdir(parents=True, exist_ok=True)
    stop_file.unlink(missing_ok=True)
    errors: list[BaseException] = []
    by_arm, done_before = expect(study), len(study.runs) - len(todo)

    def dispatch() -> None:
        try:
            _dispatch_runs(study.work, todo, stop_request, jobs, backend)
        # An exception in a thread would only be printed; it is kept and raised by the main thread below.
        except BaseException as trouble:
            errors.append(trouble)

    with catch_stop_signals() as stop_signal:
        # Signal handlers run in the main thread only, so joblib works in another one and the main thread stays free.
        thread = Thread(target=dispatch, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL_SECONDS)
            if stop_signal.signal and not stop_file.exists():
                stop_file.touch()
            study = study.read_states_again()
            done = sum(run.state == "done" for run in study.runs)
            if done != done_before:
                by_arm, done_before = expect(study), done
            watch(
                MatrixSnapshot(
                    study,
                    estimate_remaining_seconds([r for r in study.runs if r.state == "missing"], by_arm, jobs),
                )
            )
        if stop_signal.signal:
            _wait_for_saving(todo)
    stop_file.unlink(missing_ok=True)
    # After a signal, errors of joblib are expected: its workers may have been ended by it.
    if errors and not stop_signal.signal:
        first_line = (str(errors[0]).splitlines() or [""])[0]
        raise PolytaskError(
            f"--backend {backend}: {type(errors[0]).__name__}: {first_line}; finished runs are kept: run the same "
            "command again, or with another --backend"
        ) from errors[0]
    return stop_signal.signal


def _dispatch_runs(
    work: Path, todo: Sequence[StudyRun], stop_request: StopRequest, jobs: int, backend: str
) -> None:
    # Workers inherit that: Ctrl-C is for the command, and an idle worker that dies of it takes the others with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    parallel = joblib.Parallel(n_jobs=max(1, min(jobs, len(todo))), backend=backend, batch_size=1)
    # Runs whose groups are found in other runs come after all others.
    waves = [[r for r in todo if not r.spec.measured_by], [r for r in todo if r.spec.measured_by]]
    for wave in filter(None, waves):
        parallel(joblib.delayed(run_one)(str(work), run.spec, stop_request) for run in wave)


def _wait_for_saving(todo: Sequence[StudyRun], max_seconds: float = 60.0) -> None:
    """Wait until no run is active: a signal may have ended joblib's workers before the runs they wait for."""
    until = time.monotonic() + max_seconds
    while time.monotonic() < until and any(run.active for run in todo):
        time.sleep(POLL_SECONDS / 5)
