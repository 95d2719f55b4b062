"""The process of one run: `python -m polytask.study.process`; it reads its instructions from standard input."""

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
from polytask.study.folder import state_of
from polytask.study.leash import Leash
from polytask.study.pulse import Pulse
from polytask.study.run_one import DONE, ELSEWHERE, FAILED, STOPPED, note_failure
from polytask.study.spec import Spec
from polytask.training.interrupt import Interrupted


def execute(given: Mapping[str, Any]) -> int:
    """Do the run that is described by `given`, and return the exit code of the process."""
    values = dict(given["spec"])
    for key in ("tasks", "overrides"):
        # JSON knows no tuples, but a spec must equal the one it was made from.
        values[key] = None if values[key] is None else tuple(values[key])
    spec, work, leash = Spec(**values), Path(given["work"]), Leash(**given["leash"])
    try:
        with hold_lock(spec.active, "works on this run", note={"command": leash.pid}) as mine:
            return _execute(work, spec, Pulse(mine, spec, leash))
    except LockedError:
        return ELSEWHERE


def _execute(work: Path, spec: Spec, pulse: Pulse) -> int:
    """Do a run whose lock this process holds, and return the exit code."""
    if state_of(spec, work / "runs" / spec.name)[0] == "done":
        return DONE
    # The note of an earlier failure would keep the state at `failed` after this try succeeds.
    for earlier in (spec.failed, spec.failed.with_suffix(".part")):
        earlier.unlink(missing_ok=True)
    try:
        # Imported inside `try`, so that an error while libraries are loaded is noted as the failure of this run.
        from polytask.study.perform import perform

        perform(work, spec, pulse)
    except (Interrupted, KeyboardInterrupt):
        return STOPPED
    except Exception as error:
        note_failure(spec, first_line(error), traceback.format_exc())
        return FAILED
    return DONE


def first_line(error: Exception) -> str:
    """Return the first line of an error, with its type when it is not a message for users."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, PolytaskError) else f"{type(error).__name__}: {text}"


if __name__ == "__main__":
    # The worker blocks SIGINT and children inherit that; this process has to be able to stop.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    sys.exit(execute(parse_json(sys.stdin.read(), "standard input")))
