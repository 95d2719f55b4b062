"""Finds what `polytask trust` wrote about runs: it goes along with an exported model and is applied to predictions.

What it says is known to `polytask.trust` alone; here it is a document that belongs to certain weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polytask.atomic_files import write_text_atomically
from polytask.documents.json_reader import read_json_lines, read_json_object
from polytask.errors import PolytaskError
from polytask.images.file_names import make_file_name
from polytask.predict.seal import SEAL_KEY, compute_seal
from polytask.training.folder import Run

TRUST_FILE = "trust.json"
TRUST_FOLDER = "trust"
"""Folder of a work folder: what several runs promise together, a folder for each set of runs."""
POINTER_FILE = "trust_sets.jsonl"
"""File of a run: a line for each set of runs that it was taken together with."""
POINTER_MEANING = "the sets of runs that a run belongs to"
PROMISES_KEY = "trust"
"""Key of `model.json`."""
MAX_TRUST_BYTES = 256 << 20
"""Scores take about twenty bytes for each known answer of each task."""
MAX_SET_NAME = 80
"""Longest name of a set of runs that spells out all of them."""


def name_run_set(runs: Sequence[str]) -> str:
    """Name the folder of a set of runs, whatever their order: `fold0+fold1+fold2`.

    Where that would be long: the first name, how many more there are, and a hash of all. Another set has another name.
    """
    names = sorted(runs)
    # A plus inside a name is escaped there.
    joined = "+".join(map(make_file_name, names))
    if len(joined) <= MAX_SET_NAME:
        return joined
    digest = hashlib.sha256(json.dumps(names).encode("ascii")).hexdigest()[:16]
    return f"{make_file_name(names[0])[:MAX_SET_NAME]}+{len(names) - 1}-{digest}"


def locate_trust_file(runs: Sequence[Run]) -> Path:
    """Return where `trust.json` of these runs lies: in the one run, or of several in WORK/trust/NAME."""
    if len(runs) == 1:
        return runs[0].folder / TRUST_FILE
    return runs[0].work / TRUST_FOLDER / name_run_set([run.folder.name for run in runs]) / TRUST_FILE


def point_to_run_set(runs: Sequence[Run]) -> None:
    """Leave a line in each of several runs that says which set of runs it belongs to."""
    names = sorted(run.folder.name for run in runs)
    line = json.dumps({"set": name_run_set(names), "runs": names})
    for run in runs:
        path = run.folder / POINTER_FILE
        told = [text for text, _ in read_json_lines(path, POINTER_MEANING)]
        if line not in told:
            write_text_atomically(path, "".join(f"{text}\n" for text in [*told, line]))


def list_run_sets(run: Run) -> list[tuple[str, tuple[str, ...]]]:
    """List the sets of runs that this run points to: name and runs of each."""
    sets = []
    for _, line in read_json_lines(run.folder / POINTER_FILE, POINTER_MEANING):
        name, runs = (line or {}).get("set"), (line or {}).get("runs")
        # The line may be anybody's: only the name of a folder is followed, never a path.
        if isinstance(name, str) and Path(name).name == name and isinstance(runs, list):
            sets.append((name, tuple(map(str, runs))))
    return sets


def list_trust_files(runs: Sequence[Run]) -> list[Path]:
    """List where promises of exactly these runs may lie, the present place first."""
    first, names = runs[0], sorted(run.folder.name for run in runs)
    places = [locate_trust_file(runs)]
    if len(runs) > 1:
        folder = first.work / TRUST_FOLDER
        places += [folder / name / TRUST_FILE for name, own in list_run_sets(first) if sorted(own) == names]
        # Where versions before the sets of runs had names wrote it.
        places.append(folder / TRUST_FILE)
    return [path for path in dict.fromkeys(places) if path.exists()]


def read_promises(path: Path) -> dict[str, Any]:
    """Read `trust.json`; one that was changed by hand is refused, because its promise would no longer be checked."""
    what, remedy = "what runs promise", "run `polytask trust` again"
    content = read_json_object(path, what, remedy, MAX_TRUST_BYTES, "run `polytask trust` first")
    if content.get(SEAL_KEY) != compute_seal(content):
        raise PolytaskError(f"{path}: was changed after it was written; {remedy}")
    return content


def list_promised_weights(content: dict[str, Any]) -> dict[str, dict[str, str]]:
    """List the weights that promises were fitted for: run → network → sha256."""
    return {name: own for m in content.get("members", []) for name, own in m.get("weights", {}).items()}


def find_promises(runs: Sequence[Run]) -> tuple[dict[str, Any] | None, Path | None, list[str]]:
    """Find what these runs promise → (content, its folder, notices), None where there is none. Promises of other
    weights or other runs are left out, with a notice where the file lies in the place of these."""
    weights = {run.folder.name: run.weights for run in runs}
    places = list_trust_files(runs)
    for path in places:
        content = read_promises(path)
        if list_promised_weights(content) == weights:
            return content, path.parent, []
    again = f"run `polytask trust {' '.join(str(run.folder) for run in runs)}` again"
    return (
        None,
        None,
        [f"{path} belongs to other weights or runs and is not used: {again}" for path in places[:1]],
    )
