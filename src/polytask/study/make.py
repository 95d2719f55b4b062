"""`run_study`: a matrix of runs, begun or gone on with, and its results."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from polytask.leftovers import sweep_leftovers
from polytask.locks import LockedError, hold_lock
from polytask.study.design import FILE
from polytask.study.draft import draft
from polytask.study.expect import expected
from polytask.study.folder import Study
from polytask.study.ground import Ground
from polytask.study.leash import alive
from polytask.study.matrix import Snapshot, Watch, ready_backend, run_matrix
from polytask.study.ready import make_ready, place_of
from polytask.study.results import Results
from polytask.study.wanted import Wanted

LOCK = ".lock"


@dataclass(frozen=True)
class Ended:
    """A study after a command.

    Args:
        study: as it is now.
        stopped: number of the signal that ended the command early, 0 without one.
    """

    study: Study
    stopped: int

    @property
    def code(self) -> int:
        """Exit code: 1 when a run failed."""
        failed = any(run.state == "failed" for run in self.study.runs)
        return 128 + self.stopped if self.stopped else int(failed)


def run_study(
    source: Path | str,
    wanted: Wanted | None = None,
    out: Path | str | None = None,
    *,
    name: str = "study",
    jobs: int = 1,
    backend: str = "loky",
    command: str = "",
    watch: Watch = lambda snapshot: None,
    say: Callable[[str], None] = lambda what: None,
) -> Ended:
    """Run what is not done yet of a study and write `STUDY/results.parquet`.

    Finished runs are kept, killed ones go on, failed ones are tried again. Test subjects are never looked at.

    Args:
        source: a cohort (checked, planned and prepared into `STUDY/work`), a work folder, or a study to go on with.
        wanted: the matrix and its budget; in a study that exists it may add arms, folds and seeds.
        out: the study's folder; WORK/studies/NAME by default.
        jobs: runs at a time. backend: joblib's: `loky` (processes on this machine), `threading`, `ray`, …
        command: for the record.
        watch: called twice a second with how far the matrix is.
        say: called with a line for people, now and then.

    Raises:
        PolytaskError: bad input; nothing was run.
    """
    wanted = wanted or Wanted()
    wanted.refuse_nonsense()
    ready_backend(backend)
    place = place_of(source, out, name)
    if place.cohort is not None:
        with own_study(place.folder, say):
            make_ready(place, wanted.folds, say)
    ground = Ground.read(place.work)
    results = Results()
    with own_study(place.folder, say):
        sweep_leftovers(place.folder)
        new = not (place.folder / FILE).exists()
        design = draft(place, ground, wanted, jobs, command, say)
        design.write(place.folder)
    say(f"{place.folder}: {design.steps} steps a network ({design.how})") if new else None
    study = Study.of(place.folder, design)

    def look(snapshot: Snapshot) -> None:
        if results.is_due(len(snapshot.of("done"))):
            _write(results, snapshot.study)
        watch(snapshot)

    stopped = 0
    if any(run.state != "done" for run in study.runs):
        stopped = run_matrix(study, lambda now: expected(now, ground), jobs, backend, look)
        study = Study.of(place.folder, design)
    _write(results, study)
    _sweep_active(study)
    for emptied in ("active", "failed"):
        with suppress(OSError):  # not there, or not empty
            (study.folder / emptied).rmdir()
    return Ended(study, stopped)


@contextmanager
def own_study(folder: Path, say: Callable[[str], None] = lambda what: None) -> Iterator[None]:
    """Inside, no other command writes into the study's folder; waits for one that does. A folder that is made for this
    and stays empty is removed."""
    try:
        with hold_lock(folder / LOCK, "writes into this study", wait=True, say=say):
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _write(results: Results, study: Study) -> None:
    """One command at a time."""
    with own_study(study.folder):
        results.write(study)


def _sweep_active(study: Study) -> None:
    """Remove the locks of runs whose processes were killed, and the stop files of commands that were."""
    for stop in (study.folder / "active").glob(f"stop.{platform.node()}.*"):
        if not alive(int(stop.suffix[1:])):
            stop.unlink(missing_ok=True)
    for run in study.runs:
        if run.spec.active.exists():
            with suppress(LockedError), hold_lock(run.spec.active, "tidies it", patience=0):
                pass
