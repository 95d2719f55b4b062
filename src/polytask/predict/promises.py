"""Finds what `polytask trust` wrote about runs: it goes along with an exported model and is applied to predictions.

What it says is known to `polytask.trust` alone; here it is a document that belongs to certain weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polytask.documents.json_reader import read_json_object
from polytask.errors import PolytaskError
from polytask.predict.seal import SEAL_KEY, compute_seal
from polytask.training.folder import Run

TRUST_FILE = "trust.json"
PROMISES_KEY = "trust"
"""Key of `model.json`."""
MAX_TRUST_BYTES = 256 << 20
"""Scores take about twenty bytes for each known answer of each task."""


def locate_trust_file(runs: Sequence[Run]) -> Path:
    """Return where `trust.json` of these runs lies: in the one run, or of several in WORK/trust."""
    return runs[0].folder / TRUST_FILE if len(runs) == 1 else runs[0].work / "trust" / TRUST_FILE


def read_promises(path: Path) -> dict[str, Any]:
    """Read `trust.json`; one that was changed by hand is refused, because its promise would no longer be checked."""
    what, remedy = "what runs promise", "run `polytask trust` again"
    content = read_json_object(path, what, remedy, MAX_TRUST_BYTES, "run `polytask trust` first")
    if content.get(SEAL_KEY) != compute_seal(content):
        raise PolytaskError(f"{path}: was changed after it was written; {remedy}")
    return content


def find_promises(runs: Sequence[Run]) -> tuple[dict[str, Any] | None, list[str]]:
    """Find what these runs promise → (content or None, notices). Promises of other weights or other runs are left out,
    with a notice where the file lies in the place of these."""
    path = locate_trust_file(runs)
    if not path.exists():
        return None, []
    content = read_promises(path)
    weights = {run.folder.name: run.weights for run in runs}
    told = {name: own for m in content.get("members", []) for name, own in m.get("weights", {}).items()}
    if told == weights:
        return content, []
    again = f"run `polytask trust {' '.join(str(run.folder) for run in runs)}` again"
    return None, [f"{path} belongs to other weights or runs and is not used: {again}"]
