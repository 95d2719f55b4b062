"""The process of one run: `python -m polytask.study.run_process`; it reads its instructions from standard input."""

from __future__ import annotations

import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polytask.documents.json_reader import parse_json
from polytask.errors import PolytaskError
from polytask.locks import LockedError, hold_lock
from polytask.study.run_one import EXIT_DONE, EXIT_ELSEWHERE, EXIT_FAILED, EXIT_STOPPED, note_failure
from polytask.study.run_progress import RunProgress
from polytask.study.run_spec import RunSpec
from polytask.study.stop_request import StopRequest
from polytask.study.study_folder import find_run_state
from polytask.training.interrupt import TrainingInterrupted


def execute_run(given: Mapping[str, Any]) -> int:
    """Do the run that is described by `given`, and return the exit code of the process."""
    values = dict(given["spec"])
    for key in ("tasks", "overrides"):
        # JSON knows no tuples, but a spec must equal the one it was made from.
        values[key] = None if values[key] is None else tuple(values[key])
    spec, work, leash = RunSpec(**values), Path(given["work"]), StopRequest(**given["leash"])
    try:
        with hold_lock(spec.active, "works on this run", note={"command": leash.pid}) as mine:
            return _execute_locked_run(work, spec, RunProgress(mine, spec, leash))
    except LockedError:
        return EXIT_ELSEWHERE


def _execute_locked_run(work: Path, spec: RunSpec, run_progress: RunProgress) -> int:
    """Do a run whose lock this process holds, and return the exit code."""
    if find_run_state(spec, work / "runs" / spec.name)[0] == "done":
        return EXIT_DONE
    # The note of an earlier failure would keep the state at `failed` after this try succeeds.
    for earlier in (spec.failed, spec.failed.with_suffix(".part")):
        earlier.unlink(missing_ok=True)
    try:
        # Imported inside `try`, so that an error while libraries are loaded is noted as the failure of this run.
        from polytask.study.run_execution import perform_run

        perform_run(work, spec, run_progress)
    except (TrainingInterrupted, KeyboardInterrupt):
        return EXIT_STOPPED
    except Exception as error:
        note_failure(spec, summarize_error(error), traceback.format_exc())
        return EXIT_FAILED
    return EXIT_DONE


def summarize_error(error: Exception) -> str:
    """Return the first line of an error, with its type when it is not a message for users."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, PolytaskError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    # The worker blocks SIGINT and children inherit that; this process has to be able to stop.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.exit(execute_run(parse_json(sys.stdin.read(), "standard input")))
