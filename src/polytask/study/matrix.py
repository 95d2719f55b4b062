"""The matrix of runs through joblib, watched from the main thread: what is done, at work, failed, and how long yet."""

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

from polytask.errors import PolytaskError, nearest
from polytask.study.expect import Expected, remaining
from polytask.study.folder import Study, StudyRun
from polytask.study.leash import Leash
from polytask.study.run_one import run_one
from polytask.training.interrupt import listen

POLL = 0.5
"""Seconds between two looks at the files."""
RAY = "ray"


@dataclass(frozen=True)
class Snapshot:
    """How far the matrix is. `left`: seconds to go, NaN when nobody knows."""

    study: Study
    left: float

    def of(self, state: str) -> list[StudyRun]:
        """The runs in one state."""
        return [run for run in self.study.runs if run.state == state]

    @property
    def active(self) -> list[StudyRun]:
        """The runs a process works on."""
        return [run for run in self.study.runs if run.state != "done" and run.active]


Watch = Callable[[Snapshot], None]


def ready_backend(backend: str) -> None:
    """Refuse what joblib does not know; register Ray, which brings its own.

    Raises:
        PolytaskError: an unknown name, or Ray is not installed.
    """
    known = sorted({*BACKENDS, *EXTERNAL_BACKENDS, RAY})
    if backend not in known:
        raise PolytaskError(f"--backend {backend}: {nearest(backend, known)}")
    if backend == RAY:
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
    expect: Callable[[Study], dict[str, Expected]],
    jobs: int,
    backend: str,
    watch: Watch,
) -> int:
    """Do what is to do; the number of the signal that ended it early, 0 without one.

    A failed run does not stop the others. The first SIGINT or SIGTERM lets the runs at work save themselves and begins
    no further one.

    Args:
        expect: what a run of each arm takes, asked again whenever one is done.
    """
    todo = [run for run in study.runs if run.state != "done"]
    leash = Leash.of_this_process(study.folder / "active")
    stop = Path(leash.stop)
    stop.parent.mkdir(parents=True, exist_ok=True)
    stop.unlink(missing_ok=True)
    troubles: list[BaseException] = []
    by_arm, known = expect(study), len(study.runs) - len(todo)

    def dispatch() -> None:
        try:
            _dispatch(study.work, todo, leash, jobs, backend)
        except BaseException as trouble:
            troubles.append(trouble)

    with listen() as asked:
        thread = Thread(target=dispatch, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(POLL)
            if asked.signal and not stop.exists():
                stop.touch()
            study = study.look_again()
            done = sum(run.state == "done" for run in study.runs)
            if done != known:
                by_arm, known = expect(study), done
            watch(Snapshot(study, remaining([r for r in study.runs if r.state == "missing"], by_arm, jobs)))
        if asked.signal:
            _wait_for_saving(todo)
    stop.unlink(missing_ok=True)
    if troubles and not asked.signal:
        what = (str(troubles[0]).splitlines() or [""])[0]
        raise PolytaskError(
            f"--backend {backend}: {type(troubles[0]).__name__}: {what}; finished runs are kept: run the same command "
            "again, or with another --backend"
        ) from troubles[0]
    return asked.signal


def _dispatch(work: Path, todo: Sequence[StudyRun], leash: Leash, jobs: int, backend: str) -> None:
    # Workers inherit that: Ctrl-C is for the command, and an idle worker that dies of it takes the others with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    parallel = joblib.Parallel(n_jobs=max(1, min(jobs, len(todo))), backend=backend, batch_size=1)
    parallel(joblib.delayed(run_one)(str(work), run.spec, leash) for run in todo)


def _wait_for_saving(todo: Sequence[StudyRun], most: float = 60.0) -> None:
    """A signal may have ended joblib's workers before the runs they wait for."""
    until = time.monotonic() + most
    while time.monotonic() < until and any(run.active for run in todo):
        time.sleep(POLL / 5)
