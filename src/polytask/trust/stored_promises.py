"""Opens what was promised before, wherever it lies: in an exported model, in a folder of `trust`, or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from polytask.errors import PolytaskError
from polytask.predict.bundle import DESCRIPTION_FILE
from polytask.predict.promises import (
    PROMISES_KEY,
    TRUST_FILE,
    TRUST_FOLDER,
    list_promised_weights,
    list_run_sets,
    read_promises,
)
from polytask.predict.seal import read_description
from polytask.training.folder import RUN_FILE_NAME, Run
from polytask.trust.fit_runs import RunsTrust
from polytask.trust.trust_file import parse_trust


def locate_stored_promises(source: Path) -> Path | None:
    """Locate the file with the promises of a model or a folder of `trust`; None for anything else, e.g. a run."""
    if source.is_file() and source.suffix == ".json":
        return source
    if (source / RUN_FILE_NAME).exists():
        return None
    return next((source / n for n in (DESCRIPTION_FILE, TRUST_FILE) if (source / n).exists()), None)


def read_stored_promises(place: Path) -> dict[str, Any] | None:
    """Read promises from `model.json` or `trust.json`; None: the model is uncalibrated. The seal must be whole."""
    if place.name != DESCRIPTION_FILE:
        return read_promises(place)
    promises = read_description(place)[0].get(PROMISES_KEY)
    if promises is not None and not isinstance(promises, dict):
        raise PolytaskError(f"{place}: {PROMISES_KEY}: expected a mapping; export the model again")
    return promises


def find_promises_about(run: Run) -> tuple[list[RunsTrust], list[str]]:
    """Find what a run promises alone and together with others → (promises, notices). Those of earlier weights are left
    out, with a notice."""
    sets = [run.work / TRUST_FOLDER / name / TRUST_FILE for name, _ in list_run_sets(run)]
    promises, notices = [], []
    for path in (run.folder / TRUST_FILE, *sets):
        if not path.exists():
            continue
        content = read_promises(path)
        if list_promised_weights(content).get(run.folder.name) == run.weights:
            promises.append(parse_trust(content, path))
        else:
            notices.append(f"{path} belongs to other weights and is not shown; run `polytask trust` again")
    return promises, notices
