"""`run_study`: starts or continues the matrix of runs of a study and writes its results."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from polytask.leftovers import sweep_leftovers
from polytask.locks import LockedError, hold_lock, is_process_alive
from polytask.study.costs_beside_hard import compare_costs_with_hard, format_costs_beside_hard
from polytask.study.design_draft import draft_design
from polytask.study.matrix import MatrixSnapshot, WatchCallback, prepare_backend, run_matrix
from polytask.study.results import ResultsWriter
from polytask.study.run_estimate import estimate_runs
from polytask.study.study_design import STUDY_FILE
from polytask.study.study_folder import Study
from polytask.study.study_location import locate_study, prepare_workspace
from polytask.study.study_request import StudyRequest
from polytask.study.workspace import Workspace

STUDY_LOCK = ".lock"


@dataclass(frozen=True)
class StudyOutcome:
    """The state of a study after a command.

    Args:
        study: the study with the present states of its runs.
        stopped: number of the signal that ended the command early, 0 without one.
    """

    study: Study
    stopped: int

    @property
    def code(self) -> int:
        """The exit code: 128 + the signal after a stop, 1 when a run failed, else 0."""
        failed = any(run.state == "failed" for run in self.study.runs)
        return 128 + self.stopped if self.stopped else int(failed)


def run_study(
    source: Path | str,
    request: StudyRequest | None = None,
    out: Path | str | None = None,
    *,
    name: str = "study",
    jobs: int = 1,
    backend: str = "loky",
    command: str = "",
    watch: WatchCallback = lambda snapshot: None,
    say: Callable[[str], None] = lambda what: None,
) -> StudyOutcome:
    """Run everything of a study that is not done yet, and write `STUDY/results.parquet`.

    Finished runs are kept, killed ones are resumed, failed ones are tried again. Test subjects are never used.

    Args:
        source: a cohort (checked, planned and prepared into `STUDY/work`), a work folder, or a study to continue.
        request: the matrix and its budget; it may add arms, folds and seeds to an existing study.
        out: folder of the study; WORK/studies/NAME by default.
        jobs: number of runs at a time. backend: joblib's `loky` (processes on this machine), `threading`, `ray`, …
        command: the command line, noted in `study.yaml`.
        watch: called twice a second with the progress of the matrix.
        say: called now and then with a line of text for the user.

    Raises:
        PolytaskError: bad input; nothing was run.
    """
    request = request or StudyRequest()
    request.refuse_invalid_values()
    prepare_backend(backend)
    location = locate_study(source, out, name)
    if location.cohort is not None:
        with lock_study(location.folder, say):
            prepare_workspace(location, request.folds, say)
    workspace = Workspace.read(location.work)
    results = ResultsWriter()
    with lock_study(location.folder, say):
        sweep_leftovers(location.folder)
        new = not (location.folder / STUDY_FILE).exists()
        design = draft_design(location, workspace, request, jobs, command, say)
        design.write(location.folder)
    if new:
        say(f"{location.folder}: {design.steps} steps a network ({design.how})")
        for line in format_costs_beside_hard(compare_costs_with_hard(design, workspace)):
            say(line)
    study = Study.of(location.folder, design)

    def save_and_watch(snapshot: MatrixSnapshot) -> None:
        if results.is_due(len(snapshot.of("done"))):
            _write_results(results, snapshot.study)
        watch(snapshot)

    stopped = 0
    if any(run.state != "done" for run in study.runs):
        stopped = run_matrix(study, lambda now: estimate_runs(now, workspace), jobs, backend, save_and_watch)
        study = Study.of(location.folder, design)
    _write_results(results, study)
    _sweep_active_folder(study)
    for emptied in ("active", "failed"):
        with suppress(OSError):  # not there, or not empty
            (study.folder / emptied).rmdir()
    return StudyOutcome(study, stopped)


@contextmanager
def lock_study(folder: Path, say: Callable[[str], None] = lambda what: None) -> Iterator[None]:
    """Lock the folder of a study, so that no other command writes into it; waits while one does.

    A folder that was created only for the lock and stays empty is removed.
    """
    try:
        with hold_lock(folder / STUDY_LOCK, "writes into this study", wait=True, say=say):
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()


def _write_results(results: ResultsWriter, study: Study) -> None:
    """Write the results table under the lock of the study."""
    with lock_study(study.folder):
        results.write(study)


def _sweep_active_folder(study: Study) -> None:
    """Remove the lock files of runs and the stop files of commands whose processes were killed."""
    for stop in (study.folder / "active").glob(f"stop.{platform.node()}.*"):
        # The glob has this machine's name in it: process numbers of other machines mean nothing here.
        if not is_process_alive(int(stop.suffix[1:])):
            stop.unlink(missing_ok=True)
    for run in study.runs:
        if run.spec.active.exists():
            # Taking the lock proves that nobody works on the run; releasing it removes the file.
            with suppress(LockedError), hold_lock(run.spec.active, "tidies it", patience=0):
                pass
